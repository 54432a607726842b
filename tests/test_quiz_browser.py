"""A quiz on a built page, in a browser with the network cut: keyboard, feedback, themes, print, without JavaScript."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import notebooks
import pytest
import yaml
from test_pages import CHECKS, SIZES, serving, violations, visit

from conftest import ROOT

QUESTIONS = r"""
- name: toy-choice
  question: What is the sign of $-x^2$ at $x = 3$?
  choices:
    - text: Positive.
      why: The square is positive, and the sign in front of it turns it round.
    - text: Negative.
      right: true
      why: $-3^2 = -9$.
    - text: That depends on $\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}$.
      why: The matrix does not occur.
- name: toy-number
  question: How large is $-\tfrac12$ as a decimal number?
  number: -0.5
  tolerance: 0.001
  why: One divided by two.
  mistakes:
    - number: 0.5
      why: Mind the sign.
  otherwise: Divide one by two.
"""
CELL = """# Chapter

## Test yourself

:::{quiz} quizzes/toy.yml

What a plain notebook shows.

:::

## Exercises

:::{exercise}
:label: ex-toy
Add one and one.
:::

:::{hint}
:class: dropdown
Use your fingers.
:::

:::{solution} ex-toy
:class: dropdown
Two.
:::
"""


def build(folder, questions):
    """Build a book of two pages with the configuration of the real one; return what the build printed."""
    real = yaml.safe_load((ROOT / "_config.yml").read_text())
    extensions = dict.fromkeys(("offline", "accessible", "icons", "quiz"), str(ROOT / "_ext"))
    settings = {**real["sphinx"]["config"], "templates_path": [str(ROOT / "_templates")]}
    for name in list(settings):
        if name.startswith(("bibtex", "napoleon", "autodoc", "html_domain", "myst_ref", "gansde")):
            del settings[name]  # of extensions that are not needed here
    sphinx = {"extra_extensions": ["sphinx_exercise"], "local_extensions": extensions, "config": settings}
    config = {"title": "Toy", "execute": {"execute_notebooks": "off"}, "parse": real["parse"], "sphinx": sphinx}
    (folder / "quizzes").mkdir(exist_ok=True)
    (folder / "_static").mkdir(exist_ok=True)
    shutil.copy(ROOT / "_static" / "book.css", folder / "_static")
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    (folder / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters: [{file: chapter}]\n")
    (folder / "index.md").write_text("# Toy\n")
    (folder / "quizzes" / "toy.yml").write_text(questions)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(CELL)], metadata=notebooks.METADATA)
    nbformat.write(notebook, folder / "chapter.ipynb")
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", "--warningiserror", "--nitpick", "--keep-going", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """Return the folder of the built pages."""
    folder = tmp_path_factory.mktemp("toy")
    status, printed = build(folder, QUESTIONS)
    assert status == 0, printed[-3000:]
    return folder / "_build" / "html"


@pytest.fixture
def opened(browser, html):
    """Return a function that opens the chapter with the network cut; afterwards nothing went wrong."""
    contexts, wrong = [], []

    def gate(route):
        local = route.request.url.startswith(("file:", "data:"))
        if not local:
            wrong.append(f"asks for {route.request.url}")
        route.continue_() if local else route.abort()

    def open_page(**options):
        contexts.append(browser.new_context(**options))
        contexts[-1].route("**/*", gate)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((html / "chapter.html").as_uri())
        if options.get("java_script_enabled", True):
            page.evaluate("async () => { await window.MathJax?.startup?.promise }")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def walk(page, key, wanted):
    """Press a key until a button or a field of this type has the focus; formulas on the way take it too."""
    for _ in range(4):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.type") == wanted:
            return
    raise AssertionError(f"{key} does not lead to {wanted}")


def said(page, number):
    """Return what the status of a question says, once it says something."""
    status = page.get_by_role("status").nth(number)
    status.filter(has_text=".").wait_for(timeout=5000)
    return status.inner_text()


def test_the_page_is_sound(browser, html):
    for site in serving(html):
        seen = visit(browser, f"{site}/chapter.html")
    assert {check: found for check, complain in CHECKS.items() if (found := complain(seen))} == {}


def test_only_pages_with_a_quiz_load_its_script(html):
    text = (html / "chapter.html").read_text()
    assert "quiz.js" in text and "quiz.css" in text
    assert "quiz.js" not in (html / "index.html").read_text()
    assert ":::" not in text and "{quiz}" not in text and "{hint}" not in text and "plain notebook" not in text


def test_choices_by_keyboard(opened):
    page = opened()
    page.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    walk(page, "Tab", "button")
    page.keyboard.press("Enter")
    assert said(page, 0).startswith("Not so. The square is positive")
    walk(page, "Shift+Tab", "radio")
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("status").first.inner_text() == "", "what was said belongs to another choice"
    page.keyboard.press("Enter")
    assert said(page, 0).startswith("Right.")
    assert page.get_by_role("status").first.locator("mjx-container").count() == 1
    assert page.get_by_role("status").nth(1).inner_text() == ""


def test_nothing_chosen(opened):
    page = opened()
    for number, words in enumerate(("Choose an answer first.", "Write a number first, such as 0.5 or 1/2.")):
        page.get_by_role("button", name="Check", exact=True).nth(number).click()
        assert said(page, number) == words


TYPED = {
    "-0.5": "Right.",
    "−0,5": "Right.",
    "-1/2": "Right.",
    " -.5009 ": "Right.",
    "-0.502": "Not so. Divide",
    "0.5": "Not so. Mind the sign.",
    "7": "Not so. Divide",
    "half": "Write a number first",
    "1/0": "Write a number first",
    "": "Write a number first",
}


def test_numbers_by_keyboard(opened):
    page = opened()
    field = page.get_by_role("textbox", name="Your number")
    for typed, answer in TYPED.items():
        field.fill("x")
        field.fill("")
        assert page.get_by_role("status").nth(1).inner_text() == "", "what was said belongs to another number"
        page.keyboard.type(typed)
        page.keyboard.press("Enter")
        assert said(page, 1).startswith(answer), typed


def test_names_for_a_screen_reader(opened):
    page = opened()
    group = page.get_by_role("group", name="1. What is the sign of")
    assert group.get_by_role("radio", name="a. Positive.").count() == 1
    assert group.get_by_role("radio").count() == 3
    assert page.get_by_role("group", name="2. How large is").get_by_role("textbox").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible_with_feedback_at_360_pixels(opened, theme):
    page = opened(viewport=SIZES["narrow"], reduced_motion="reduce")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
    page.get_by_role("radio").nth(2).check()
    for button in page.get_by_role("button", name="Check", exact=True).all():
        button.click()
    page.evaluate("() => document.querySelectorAll('details').forEach(node => node.open = true)")
    page.wait_for_timeout(350)
    assert violations(page, "html") == []
    assert page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_without_javascript(opened):
    page = opened(java_script_enabled=False)
    quiz = page.locator(".gansde-quiz")
    assert quiz.get_by_text("That depends on").is_visible()
    assert not quiz.locator("button").first.is_visible() and not quiz.locator("input[type=text]").is_visible()
    answer = quiz.get_by_text("The square is positive")
    assert not answer.is_visible()
    quiz.locator("summary").first.click()
    assert answer.is_visible()


def test_in_print_the_answers_are_open(opened):
    page = opened()
    page.emulate_media(media="print")
    visible = {
        "checkVisibility": "node => node.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})"
    }
    answers = page.locator(".gansde-quiz details li")
    assert [answer.evaluate(visible["checkVisibility"]) for answer in answers.all()] == [True] * 6
    assert answers.first.bounding_box()["height"] > 10
    assert not any(button.is_visible() for button in page.locator(".gansde-quiz button").all())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (QUESTIONS.replace("      right: true\n", ""), "'toy-choice' must have 3 or more choices, one right; found 0"),
        (QUESTIONS.replace("choices:", "choices"), "quiz quizzes/toy.yml"),
    ],
)
def test_a_malformed_quiz_is_no_page(tmp_path, changed, message):
    status, printed = build(tmp_path, changed)
    assert status != 0 and message in " ".join(printed.split())
