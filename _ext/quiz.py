"""Self-test quizzes on the static page, in native HTML: the directive `{quiz}`.

    :::{quiz} quizzes/gda.yml
    What a plain notebook shows in place of the quiz.
    :::

The file is a list of questions (see `checked`). Each becomes a fieldset with radio buttons or a field for a number, and
a `<details>` with the answer and what is wrong with the others: that part needs no script and no mouse, and is open in
print. `quiz.js` adds a button that shows what belongs to the answer given, taken from the same list.
"""

import shutil
from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ASSETS = ("quiz.js", "quiz.css")


def checked(questions):
    """Return the questions of a file if they are well formed.

    A question has a `name`, the `question`, and either `choices`, each with `text`, `why` and one of them with
    `right: true`, or a `number` with `tolerance`, `why`, typical `mistakes` (each a `number` and its `why`) and
    `otherwise`, what is said to any other number. A ValueError names the question and what it lacks.

    >>> checked([{"name": "sum", "question": "1 + 1?", "number": 2, "why": "", "mistakes": [], "otherwise": "No."}])
    Traceback (most recent call last):
    ...
    ValueError: question 'sum' must have 'why', found ''
    """
    for question in questions:
        name = question.get("name", question)
        for key in ("name", "question", *(() if "choices" in question else ("why", "mistakes", "otherwise"))):
            if not question.get(key):
                raise ValueError(f"question {name!r} must have {key!r}, found {question.get(key)!r}")
        answers = question.get("choices") or question["mistakes"]
        for answer in answers:
            if not answer.get("why") or len({"text", "number"} & answer.keys()) != 1:
                raise ValueError(f"question {name!r}: an answer has a text or a number, and why; found {answer!r}")
        if "choices" in question:
            right = sum(bool(choice.get("right")) for choice in answers)
            if right != 1 or len(answers) < 3:
                raise ValueError(f"question {name!r} must have 3 or more choices, one right; found {right} right")
        else:
            number, tolerance = float(question["number"]), float(question.get("tolerance", 0))
            if not tolerance > 0 or any(abs(number - answer["number"]) <= tolerance for answer in answers):
                raise ValueError(f"question {name!r} must have a tolerance that is positive and keeps out the mistakes")
    names = [question["name"] for question in questions]
    if len(set(names)) < len(names):
        raise ValueError(f"questions must have names of their own, found {names}")
    return questions


class Quiz(SphinxDirective):
    """The directive `{quiz}`; its body is for plain notebooks and is left out here."""

    required_arguments = 1
    has_content = True

    def run(self):
        """Return the questions of the file as nodes between pieces of HTML."""
        relative, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        try:
            questions = checked(yaml.safe_load(Path(path).read_text()))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise self.error(f"quiz {relative}: {error}") from error
        found = [html('<div class="gansde-quiz">')]
        for count, question in enumerate(questions, 1):
            found += self.question(count, question)
        return [*found, html("</div>")]

    def question(self, count, question):
        """Return the nodes of one question."""
        name = escape(f"quiz-{question['name']}")
        found = [html("<fieldset><legend>"), nodes.strong(text=f"{count}. "), *self.inline(question["question"])]
        found.append(html("</legend>"))
        if "choices" in question:
            answers = list(zip("abcdefgh", question["choices"], strict=False))
            for letter, choice in answers:
                found.append(html(f'<label><input type="radio" name="{name}" value="{letter}"><span>{letter}. '))
                found += [*self.inline(choice["text"]), html("</span></label>")]
            heads = [(f'data-answer="{letter}"', bool(choice.get("right")), letter) for letter, choice in answers]
            reasons = [choice["why"] for _, choice in answers]
        else:
            field = f'<input type="text" name="{name}" autocomplete="off" autocapitalize="off" spellcheck="false">'
            found.append(html(f'<label class="gansde-number" hidden><span>Your number</span>{field}</label>'))
            numbers = [question, *question["mistakes"]]
            near = float(question["tolerance"])
            values = [float(answer["number"]) for answer in numbers]
            heads = [
                (
                    f'data-answer="{value!r}" data-tolerance="{near!r}"',
                    value == values[0],
                    f"{value:g}".replace("-", "−"),
                )
                for value in values
            ]
            heads.append(('data-answer="otherwise"', False, "Any other number"))
            reasons = [answer["why"] for answer in numbers] + [question["otherwise"]]
        found.append(html('<button type="button" hidden>Check</button><div role="status"></div>'))
        found.append(html("<details><summary>Answer</summary><ul>"))
        for (attributes, right, answer), why in zip(heads, reasons, strict=True):
            verdict = f'<span class="gansde-{"right" if right else "wrong"}">{"Right" if right else "Not so"}.</span> '
            found.append(html(f"<li {attributes}><strong>{answer}:</strong> {verdict}"))
            found += [*self.inline(why), html("</li>")]
        return [*found, html("</ul></details></fieldset>")]

    def inline(self, text):
        """Return one paragraph of Markdown as nodes without the paragraph."""
        return [node for paragraph in self.parse_text_to_nodes(text) for node in paragraph.children]


def html(text):
    """Return a piece of HTML as a node; other formats leave it out and keep the text between."""
    return nodes.raw("", text, format="html")


def serve_pages_with_quizzes(app, pagename, templatename, context, doctree):
    """Load the script and the style on pages with a quiz, and on no other."""
    if 'class="gansde-quiz"' in context.get("body", ""):
        app.add_css_file("quiz.css")
        app.add_js_file("quiz.js", loading_method="defer")


def copy_assets(app):
    """Copy both files to the other static files before any page is written: Sphinx puts checksums in the links."""
    if app.builder.format == "html":
        folder = Path(app.outdir, "_static")
        folder.mkdir(parents=True, exist_ok=True)
        for name in ASSETS:
            shutil.copyfile(Path(__file__).with_name(name), folder / name)


def setup(app):
    """Register the extension."""
    app.add_directive("quiz", Quiz)
    app.connect("html-page-context", serve_pages_with_quizzes, priority=900)
    app.connect("builder-inited", copy_assets)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
