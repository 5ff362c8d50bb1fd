import inspect
from contextlib import aclosing

import pytest

from softalign import AsyncClient, Client, DoneEvent, InvalidRequestError, TokenEvent

pytestmark = pytest.mark.anyio


async def test_both_clients_have_the_same_methods():
    def methods(kind):
        return {
            name: [str(one) for one in inspect.signature(method).parameters.values()]
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") and name not in ("close", "aclose")
        }

    assert methods(AsyncClient) == methods(Client)


async def test_a_translation_is_stored_listed_drawn_and_deleted(async_client, tmp_path):
    translation = await async_client.translate("The cat sleeps.", target_lang="fr")
    assert [one.id async for one in async_client.translations()] == [translation.id]
    await async_client.save(translation, tmp_path / "alignment.svg", theme="dark")
    assert (tmp_path / "alignment.svg").read_bytes().startswith(b"<?xml")
    [fetched] = await async_client.get(translation.id)
    assert fetched.links == translation.links
    pieces = await async_client.alignment(translation.id, level="piece")
    assert pieces.level == "piece"
    await async_client.delete(translation.id)
    assert await async_client.delete_all() == 0


async def test_a_pair_is_aligned(async_client):
    pair = await async_client.align("The cat sleeps.", "Le chat dort.")
    [same] = await async_client.align_many([("The cat sleeps.", "Le chat dort.")])
    assert pair.matrix == pytest.approx(same.matrix, abs=1e-5)


async def test_a_translation_can_be_followed(async_client):
    async with aclosing(async_client.stream("The cat sleeps. A dog.", beam_size=1)) as events:
        told = [event async for event in events]
    assert isinstance(told[-1], DoneEvent)
    plain = await async_client.translate("The cat sleeps. A dog.", beam_size=1)
    assert told[-1].translation.text == plain.text
    assert any(isinstance(one, TokenEvent) for one in told)


async def test_errors_are_exceptions(async_client):
    with pytest.raises(InvalidRequestError, match="empty_text"):
        await async_client.translate("")
    with pytest.raises(InvalidRequestError, match="empty_text"):
        await anext(async_client.stream(""))


async def test_the_service_tells_of_itself(async_client):
    assert [one.name for one in await async_client.models()] == ["tiny"]
    assert await async_client.languages() == {"en": ("fr",)}
    assert (await async_client.limits())["max_beam_size"] == 8


async def test_saving_needs_await(async_client, tmp_path):
    translation = await async_client.translate("The cat sleeps.")
    with pytest.raises(TypeError, match=r"await client\.save"):
        translation.save(tmp_path / "alignment.svg")
    assert "<table>" in translation._repr_html_()
