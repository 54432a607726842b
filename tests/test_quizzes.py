"""The self-test quizzes and the exercises: every chapter has them, and every right answer is worked out anew."""

import copy
import re

import nbformat
import pytest
import quiz
import quiz_answers
import slides
import yaml

from conftest import ROOT

CHAPTERS = [page.removeprefix("book/") for page in slides.chapters(ROOT)]
QUIZZES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "book" / "quizzes").glob("*.yml"))}
QUESTIONS = {question["name"]: question for questions in QUIZZES.values() for question in questions}


def text(chapter):
    """Return the Markdown of a chapter."""
    cells = nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_every_chapter_has_its_quiz():
    assert sorted(QUIZZES) == sorted(CHAPTERS)
    for chapter in CHAPTERS:
        assert re.findall(r"^:::\{quiz\} (\S+)$", text(chapter), re.MULTILINE) == [f"quizzes/{chapter}.yml"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_quiz_is_well_formed(chapter):
    questions = quiz.checked(QUIZZES[chapter])
    assert 4 <= len(questions) <= 6
    assert {"choices" in question for question in questions} == {True, False} or chapter == "neural"
    for question in questions:
        words = [answer["text"] for answer in question.get("choices", [])]
        assert len(set(words)) == len(words)


def test_names_are_unique():
    assert len(QUESTIONS) == sum(map(len, QUIZZES.values()))
    known = {*quiz_answers.NUMBERS, *quiz_answers.CHOICES}
    assert known == set(QUESTIONS), "a question without a check, or a check without a question"


def test_the_right_choice_has_no_fixed_place():
    places = [
        [bool(choice.get("right")) for choice in question["choices"]].index(True)
        for question in QUESTIONS.values()
        if "choices" in question
    ]
    assert max(places.count(place) for place in set(places)) < 0.6 * len(places)


@pytest.mark.parametrize("name", quiz_answers.NUMBERS)
def test_number(name):
    question = QUESTIONS[name]
    found = float(quiz_answers.NUMBERS[name]())
    assert abs(found - question["number"]) <= 0.6 * question["tolerance"], f"worked out: {found}"


@pytest.mark.parametrize("name", quiz_answers.CHOICES)
def test_choice(name):
    words = quiz_answers.CHOICES[name]()
    matching = [choice for choice in QUESTIONS[name]["choices"] if words in choice["text"]]
    assert len(matching) == 1, f"{words!r} stands in {len(matching)} choices"
    assert matching[0].get("right"), f"worked out: {words!r}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_have_hints_and_folded_solutions(chapter):
    found = re.findall(
        r"^:{3,}\{(exercise|hint|solution)\}[^\n]*\n(:class: dropdown|:label: (\S+))", text(chapter), re.MULTILINE
    )
    exercises = [label for kind, _, label in found if kind == "exercise"]
    assert len(exercises) >= 5
    wanted = [("exercise", True), ("hint", False), ("solution", False)] * len(exercises)
    assert [(kind, bool(label)) for kind, _, label in found] == wanted
    assert re.findall(r"^:{3,}\{solution\} (\S+)", text(chapter), re.MULTILINE) == exercises


GOOD = [
    {
        "name": "choice",
        "question": "?",
        "choices": [{"text": "a", "why": "x"}, {"text": "b", "why": "y", "right": True}, {"text": "c", "why": "z"}],
    },
    {
        "name": "number",
        "question": "?",
        "number": 2,
        "tolerance": 0.1,
        "why": "x",
        "mistakes": [{"number": 3, "why": "y"}],
        "otherwise": "z",
    },
]


def broken(change):
    """Return the well-formed questions with one change."""
    questions = copy.deepcopy(GOOD)
    change(*questions)
    return questions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda choice, number: choice["choices"][0].pop("why"), "an answer has a text or a number, and why"),
        (lambda choice, number: choice["choices"][0].update(right=True), "one right; found 2 right"),
        (lambda choice, number: choice["choices"][1].pop("right"), "one right; found 0 right"),
        (lambda choice, number: choice["choices"].pop(), "3 or more choices"),
        (lambda choice, number: choice.pop("question"), "must have 'question', found None"),
        (lambda choice, number: number.pop("tolerance"), "a tolerance that is positive"),
        (lambda choice, number: number.update(tolerance=1.5), "keeps out the mistakes"),
        (lambda choice, number: number.pop("otherwise"), "must have 'otherwise', found None"),
        (lambda choice, number: number.update(name="choice"), "names of their own"),
    ],
)
def test_a_malformed_quiz_is_refused(change, message):
    assert quiz.checked(copy.deepcopy(GOOD)) == GOOD
    with pytest.raises(ValueError, match=message):
        quiz.checked(broken(change))
