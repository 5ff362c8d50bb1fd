"""docs/api.md names everything that a caller or an operator can meet."""

from pathlib import Path

import pytest

from app.align_schemas import AlignRequest
from app.errors import PROBLEMS
from app.form_query import AlignmentQuery
from app.main import create_app
from app.schemas import AlignmentRequest, DecodingRequest, TranslateRequest
from app.settings import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_error_is_documented_with_its_status(code):
    assert f"| `{code}` | {PROBLEMS[code].status} |" in TEXT


@pytest.mark.parametrize(("name", "field"), Settings.model_fields.items())
def test_every_setting_is_documented_with_its_default(name, field):
    default = field.default
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    assert f"| `{name}` | {shown} |" in TEXT.replace(
        "`checkpoints` | `checkpoints`", "`checkpoints` | checkpoints"
    )


def test_every_address_is_documented(tiny_models):
    for path, operations in create_app(Settings(), tiny_models).openapi()["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}`" in TEXT


@pytest.mark.parametrize(
    "field",
    [
        *(name for name in TranslateRequest.model_fields if name != "decoding"),
        *(f"decoding.{name}" for name in DecodingRequest.model_fields),
        *(f"alignment.{name}" for name in AlignmentRequest.model_fields),
        *AlignRequest.model_fields,
        *AlignmentQuery.model_fields,
    ],
)
def test_every_request_field_is_documented(field):
    assert f"`{field}`" in TEXT
