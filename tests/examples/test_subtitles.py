from pathlib import Path

from examples.subtitles import carry_over, read_cues, translate_subtitles
from softalign import Client
from tests.examples.aligned import aligned

TALK = Path(__file__).parents[2] / "examples" / "talk.en.srt"
TAGGED = """1
00:00:01,000 --> 00:00:03,000
<00:00:01,000>black <00:00:01,500>cat
"""


def test_words_have_the_times_before_them():
    [cue] = read_cues(TAGGED)
    assert cue.text == "black cat"
    assert [(word.start, word.end, word.begins) for word in cue.words] == [
        (0, 5, 1000),
        (6, 9, 1500),
    ]
    assert cue.ends == 3000


def test_words_without_a_time_get_one_by_their_place():
    [cue] = read_cues("7\r\n0:00:10.000 --> 0:00:14.000 x:1\r\nab cd\r\nef!!\r\n")
    assert cue.text == "ab cd ef!!"
    assert [word.begins for word in cue.words] == [10_000, 11_200, 12_400]
    assert cue.words[2].end == len("ab cd ef")


def test_each_spoken_word_underlines_what_was_made_from_it():
    [cue] = read_cues(TAGGED)
    made = list(carry_over(cue, aligned("black cat", "chat noir", "0-1 1-0")))
    assert made == [
        "00:00:01,000 --> 00:00:01,500\nchat <u>noir</u>\n",
        "00:00:01,500 --> 00:00:03,000\n<u>chat</u> noir\n",
    ]


def test_subtitles_follow_the_speech(shipped_service):
    with Client(shipped_service) as client:
        made = translate_subtitles(client, TALK.read_text("utf-8"), target_lang="fr", kind="head")
    assert "\n2\n00:00:01,300 --> 00:00:01,800\nLe chat <u>noir</u> dort.\n" in made
    assert "\n3\n00:00:01,800 --> 00:00:02,300\nLe <u>chat</u> noir dort.\n" in made
    assert len(list(read_cues(made))) == 4 + 7
