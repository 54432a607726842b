"""MyST Markdown as plain Markdown that Jupyter, Colab and any viewer of notebooks show: no directive, no role is left.

Theorems and exercises become paragraphs that begin with their name in bold, hints and solutions fold by `<details>`,
references become words, linked to the online pages where there are some. What this module does not know is an error.
"""

import re
from pathlib import Path

import yaml
from docutils.nodes import make_id

from tools.formats.articles import resolve

OPENING = re.compile(r"^(?P<fence>:{3,}|`{3,})\{(?P<name>[\w:-]+)\}[ \t]*(?P<argument>.*)$")
FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
OPTION = re.compile(r"^:([\w-]+):[ \t]*(.*)$")
ROLE = re.compile(r"\{([\w:]+)\}`([^`]+)`")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?!https?:|mailto:)[^)\s]+)\)")
TARGET = re.compile(r"^\([\w-]+\)=[ \t]*\n?", re.MULTILINE)
TAGGED = re.compile(r"^\$\$[ \t]*\(([\w:-]+)\)[ \t]*$", re.MULTILINE)
STATEMENTS = ("theorem", "proposition", "lemma", "corollary", "definition", "algorithm", "remark", "example")
# Inside of these nothing is a role, a link or a label.
VERBATIM = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)|\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)


class Plain:
    """Converts the Markdown cells of one notebook; `cited` collects the works that it names."""

    def __init__(self, page, labels, works, *, base="", files=(), folder="."):
        """Take what the book knows.

        Args:
            page: the page's name, such as `book/gda`.
            labels: `{label: Place}` of the built book.
            works: the bibliography.
            base: the address of the online pages; empty for none.
            files: names of the notebooks that lie beside this one, with their endings.
            folder: where the files that directives name are found.
        """
        self.page, self.labels, self.works = page, labels, works
        self.base, self.files, self.folder, self.cited = base.rstrip("/"), set(files), Path(folder), set()

    def convert(self, text):
        """Return plain Markdown."""
        pieces, lines, prose = [], text.split("\n"), []

        def flush():
            if prose:
                pieces.append(self.inline("\n".join(prose)))
                prose.clear()

        while lines:
            line = lines.pop(0)
            if opening := OPENING.match(line):
                flush()
                pieces.append(
                    self.directive(opening["name"], opening["argument"].strip(), take(lines, opening["fence"]))
                )
            elif code := FENCE.match(line):
                flush()
                pieces.append("\n".join([line, *take(lines, code[1]), code[0]]))
            else:
                prose.append(line)
        flush()
        return "\n".join(pieces)

    def directive(self, name, argument, lines):
        """Return a directive as Markdown."""
        options = {}
        while lines and (option := OPTION.match(lines[0])):
            options[option[1]] = option[2].strip()
            lines.pop(0)
        body = self.convert("\n".join(lines).strip())
        kind = name.removeprefix("prf:")
        label = options.get("label", "")
        if kind in STATEMENTS or kind == "exercise":
            title = f" ({self.inline(argument)})" if argument else ""
            return f"**{self.number(label, kind)}{title}.** {body}"
        if kind == "proof":
            return f"**Proof.** {body} ∎" if not body.endswith("$$") else f"**Proof.** {body}\n\n∎"
        if kind == "solution":
            return folded(f"Solution to {self.number(argument, 'the exercise')}", body)
        if kind == "quiz":
            return self.quiz(argument)
        if kind in ("hint", "note", "tip", "important", "warning", "seealso", "admonition", "dropdown"):
            title = argument if kind in ("admonition", "dropdown") else kind.replace("seealso", "see also").capitalize()
            return folded(title, body) if "dropdown" in (kind, options.get("class")) else f"**{title}.** {body}"
        if kind == "math":
            return f"$$\n{chr(10).join(lines).strip()}\n$$"
        raise ValueError(f"{self.page}: plain notebooks have no form for the directive {{{name}}}; add one here")

    def number(self, label, otherwise):
        """Return the name of a numbered block."""
        return self.find(label).text if label else otherwise.capitalize()

    def find(self, label):
        """Return the place of a label, which docutils may have written in its own way; a ValueError names another."""
        for name in (label, make_id(label)):
            if name in self.labels:
                return self.labels[name]
        raise ValueError(f"{self.page}: the label {label!r} is not in the built pages; run: make html")

    def inline(self, text):
        """Replace labels, roles and links outside code and formulas."""
        text = TARGET.sub("", text)
        text = TAGGED.sub(lambda match: f"\\tag{{{self.find(match[1]).text.strip('()')}}}\n$$", text)
        kept = []

        def keep(match):
            kept.append(match[0])
            return f"\x00{len(kept) - 1}\x00"

        # A role ends in backquotes, as code does: roles go first.
        text = ROLE.sub(lambda match: self.role(*match.groups()), text)
        text = VERBATIM.sub(keep, text)
        text = LINK.sub(lambda match: self.link(*match.groups()), text)
        return re.sub("\x00(\\d+)\x00", lambda match: kept[int(match[1])], text)

    def role(self, name, content):
        """Return a role as Markdown."""
        if name in ("cite:t", "cite:p"):
            keys = [key.strip() for key in content.split(",")]
            self.cited.update(keys)
            names = [self.works.name(key) for key in keys]
            if name == "cite:t":
                return ", ".join(f"{authors} [{year}]" for authors, year in names)
            return "[" + "; ".join(f"{authors}, {year}" for authors, year in names) + "]"
        if name in ("eq", "ref", "prf:ref", "numref", "doc", "term"):
            titled = re.fullmatch(r"(.*?)\s*<(.+)>", content)
            label = titled[2] if titled else content
            if name == "term":
                return titled[1] if titled else content
            if name == "doc":
                label = f"/{resolve(self.page, label)}"
            place = self.find(label)
            return self.to(titled[1] if titled else place.text, place.page, place.anchor)
        raise ValueError(f"{self.page}: plain notebooks have no form for the role {{{name}}}; add one here")

    def link(self, words, target):
        """Return a link between pages as one that works in a notebook, or its words."""
        path, _, anchor = target.partition("#")
        page = resolve(self.page, re.sub(r"\.(ipynb|md|html)$", "", path))
        if path.endswith(".yml"):
            return words
        if f"/{page}" not in self.labels and path and not (self.base or f"{page}.ipynb" in self.files):
            return words
        if not words:
            words = self.find(anchor or f"/{page}").text
        if not self.base and f"{page}.ipynb" in self.files and path:
            return f"[{words}]({path})"
        return self.to(words, page, anchor)

    def to(self, words, page, anchor):
        """Return words that lead to the online page, or only the words."""
        return f"[{words}]({self.base}/{page}.html{'#' * bool(anchor)}{anchor})" if self.base else words

    def quiz(self, path):
        """Return a self-test with folded answers."""
        pieces = []
        for count, question in enumerate(yaml.safe_load((self.folder / path).read_text()), 1):
            letters = dict(zip("abcdefgh", question.get("choices", []), strict=False))
            pieces.append(f"**{count}.** {question['question']}".rstrip())
            if letters:
                pieces.append("\n".join(f"- {letter}. {choice['text']}" for letter, choice in letters.items()))
                answers = [(letter, bool(choice.get("right")), choice["why"]) for letter, choice in letters.items()]
            else:
                numbers = [(f"{mistake['number']:g}", False, mistake["why"]) for mistake in question["mistakes"]]
                answers = [(f"{float(question['number']):g}", True, question["why"]), *numbers]
                answers.append(("Any other number", False, question["otherwise"]))
            listed = [f"- **{answer}:** {'Right' if right else 'Not so'}. {why}" for answer, right, why in answers]
            pieces.append(folded("Answer", "\n".join(listed)))
        return "\n\n".join(self.inline(piece) for piece in pieces)


def folded(title, body):
    """Return a block that opens on a click; the empty lines let Markdown work inside."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def take(lines, fence):
    """Remove and return the lines up to the end of a block that `fence` opened, and its end."""
    taken = []
    while lines:
        line = lines.pop(0)
        if re.fullmatch(f"{fence[0]}{{{len(fence)},}}", line.strip()):
            break
        taken.append(line)
    return taken
