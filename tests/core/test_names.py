"""How names and emails are compared, and what a search takes for one word."""

from __future__ import annotations

import time

import pytest

from chatserver.core.names import (
    FOLD_CHARS,
    after_prefix,
    email_key,
    fold,
    full_name,
    given_names,
    name_key,
    name_words,
    ways_to_read,
    words,
)


def test_case_and_compatibility_forms_do_not_count() -> None:
    assert fold("STRASSE") == fold("straße") == fold("ｓｔｒａｓｓｅ")
    assert email_key(" Ann@Example.COM ") == "ann@example.com"
    assert name_key("Ann", "") == "ann" and name_key("Ann", "Arbor") == "ann arbor"


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        ("Ann", "Archer", "Ann Archer"),
        ("Ann", "", "Ann"),
        ("小明", "王", "王小明"),
        ("太郎", "山田", "山田太郎"),
        ("민수", "김", "김민수"),
        ("Ελένη", "Παπαδοπούλου", "Ελένη Παπαδοπούλου"),
        ("小明", "Wang", "小明 Wang"),
        ("Έλλη", "王", "Έλλη 王"),
    ],
)
def test_a_name_is_shown_as_it_is_written_where_it_comes_from(
    first: str, last: str, shown: str
) -> None:
    assert full_name(first, last) == shown


def test_a_full_name_without_a_space_may_be_two_words() -> None:
    assert ways_to_read("王小明") == ["王小明", "王 小明", "王小 明"]
    assert ways_to_read(" 김민 ") == [" 김민 ", "김 민"]
    assert ways_to_read("欧阳娜娜")[2] == "欧阳 娜娜"
    for query in ("王", "ann", "王 小明", "王a", "", "王" * 9):
        assert ways_to_read(query) == [query]


@pytest.mark.parametrize(
    ("word", "given"),
    [
        ("王小明", ["小明"]),
        ("김민수", ["민수"]),
        ("司马相如", ["马相如", "相如"]),
        ("佐佐木太郎", ["佐木太郎", "木太郎", "太郎"]),
        ("王明", []),
        ("王", []),
        ("王" * 9, []),
        ("アレクサンドロ", []),
        ("さくら", []),
        ("ann", []),
        ("王小m", []),
    ],
)
def test_in_a_full_name_without_a_space_there_is_a_given_name(word: str, given: list[str]) -> None:
    assert given_names(word) == given


def test_somebody_is_found_by_the_words_of_the_name_and_the_given_name_in_one_of_them() -> None:
    assert name_words("王小明", "") == ["王小明", "小明"]
    assert name_words("王小明", "Wang") == ["王小明", "wang", "小明"]
    assert name_words("小明", "王") == ["小明", "王"]
    assert name_words("Ann", "O'Neil") == ["ann", "o", "neil"]
    assert len(name_words("王" * 8, "李" * 8)) == 8


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ann Arbor", ["ann", "arbor"]),
        ("O'Neil", ["o", "neil"]),
        ("Anna-Lena anna", ["anna", "lena"]),
        ("🦄", ["🦄"]),
        ("  ", []),
    ],
)
def test_a_word_is_a_run_of_letters_digits_and_marks(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_the_end_of_a_prefix_is_above_every_word_with_it_and_below_the_next() -> None:
    assert "ann" < "annz\U0010fffe" < after_prefix("ann") < "ano"


WORST = [
    "a" + "\u0301" * 16_000 + "\u0316" * 16_000,
    "\ufdfa" * 20_000,
    "\u0390" * 30_000,
    "a" * 64_000,
]


@pytest.mark.parametrize("text", WORST, ids=["marks", "nfkc", "casefold", "plain"])
def test_no_text_takes_long_to_fold(text: str) -> None:
    best_s = float("inf")
    for _ in range(3):
        began_s = time.thread_time()
        fold(text), name_key(text, text), words(text)
        best_s = min(best_s, time.thread_time() - began_s)
    assert best_s < 0.020
    assert len(fold(text)) <= 20 * FOLD_CHARS


def test_the_longest_name_is_folded_to_its_end() -> None:
    first, last = "\ufdfa" * 50, "b" * 49 + "Z"
    assert name_key(first, last).endswith("z")
    assert words("O'Neil \uff21nn \U0001f600") == ["o", "neil", "ann", "\U0001f600"]
    assert email_key(" Ann@Example.com ") == email_key("ann@example.COM")
