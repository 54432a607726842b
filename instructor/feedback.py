"""Pages made from students' records: feedback without a word of the hidden checks, and a page for marking by hand."""

from html import escape

STYLE = """<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
:root { color-scheme: light dark }
table { border-collapse: collapse }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #8888; text-align: left; vertical-align: top }
pre { overflow: auto; padding: .5rem; border: 1px solid #8888; white-space: pre-wrap }
img { max-width: 100%; background: white }
</style>"""


def page(title, body):
    """Return an HTML page; nothing in it is loaded or run."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = f"<meta charset='utf-8'><meta http-equiv='Content-Security-Policy' content=\"{policy}\">"
    head += f"<title>{escape(title)}</title>{STYLE}"
    return f"<!doctype html><html lang='en'><head>{head}</head><body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"


def items(lines):
    """Return `lines` as an HTML list."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def answer(row):
    """Return one answer by hand as HTML: its text as it stands, escaped, and its pictures."""
    pictures = "".join(
        f"<img alt='picture of the answer' src='data:image/png;base64,{picture}'>" for picture in row["pictures"]
    )
    printed = f"<pre>{escape(row['text'])}</pre>" if row["text"] else ""
    return f"<pre>{escape(row['source'])}</pre>{printed}{pictures}"


def of_student(record, marks=None):
    """Return the feedback page of a `record`; `marks` maps a question to points and comment by hand."""
    marks, rows, notes, total, of = marks or {}, [], [], 0, 0
    for question, row in record["questions"].items():
        by_hand = marks.get(question, {})
        points = row["points"] + (by_hand.get("points") or 0)
        waiting = row["by_hand"] > 0 and by_hand.get("points") is None
        total, of = total + points, of + row["of"] + row["by_hand"]
        worth = f"{points:g} of {row['of'] + row['by_hand']:g}" + (" (part is still to be marked)" if waiting else "")
        rows.append(f"<tr><td>{escape(question.replace('_', ' '))}</td><td>{worth}</td></tr>")
        failed = [f"self-check: {problem}" for problem in row["checks"] if problem]
        remarks = [*row["remarks"], *failed, *([by_hand["comment"]] if by_hand.get("comment") else [])]
        if remarks:
            notes.append(f"<h2>{escape(question.replace('_', ' '))}</h2>{items(remarks)}")
    broken = [f"cell {name}: {cell['error']}" for name, cell in record["cells"].items() if cell["error"]]
    if broken:
        notes.append(f"<h2>Cells that failed</h2>{items(broken)}")
    if record["problem"]:
        notes.insert(0, f"<p>{escape(record['problem'])}</p>")
    table = f"<table><tr><th>question</th><th>points</th></tr>{''.join(rows)}</table>"
    return page(f"{record['title']}: {total:g} of {of:g} points", table + "".join(notes))


def for_marking(master, records):
    """Return the page for whoever marks by hand: each question with its rubric, then everybody's answers."""
    parts = []
    for cell in master.tagged("manual"):
        parts.append(
            f"<h2>{escape(cell.question)} ({cell.points:g} points)</h2><details><summary>answer and rubric</summary>"
        )
        parts.append(f"<pre>{escape(cell.solution)}</pre></details>")
        for record in records:
            answers = record["manual"].get(cell.question) or []
            parts.append(
                f"<h3>{escape(record['student'])}</h3>" + ("".join(map(answer, answers)) or "<p>No answer.</p>")
            )
    return page(f"{master.title}: to be marked by hand", "".join(parts))
