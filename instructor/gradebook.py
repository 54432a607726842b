"""Tables of a graded class: grades.csv, manual.csv for marks by hand, canvas.csv for a roster.

After marks were written into manual.csv: `python -m instructor.gradebook NAME RESULTS [--roster ROSTER.csv]`.
"""

import argparse
import csv
import json
from pathlib import Path

from instructor import feedback
from instructor.build import MASTERS
from instructor.master import read

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")


def records(folder):
    """Return the records in `folder`, by student."""
    return [json.loads(path.read_text()) for path in sorted((Path(folder) / "students").glob("*.json"))]


def table(path):
    """Return the rows of a CSV file as dictionaries, none where there is no file."""
    if not Path(path).exists():
        return []
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def write(path, header, rows):
    """Write a CSV file."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def marks(folder, master):
    """Return the marks by hand, by student and question; a ValueError names a mark that cannot be."""
    found = {}
    for row in table(Path(folder) / "manual.csv"):
        most = master.questions.get(row["question"], {}).get("manual", 0)
        text = row["points"].strip()
        try:
            points = float(text) if text else None
        except ValueError:
            points = -1
        if not most or (points is not None and not 0 <= points <= most):
            raise ValueError(
                f"manual.csv gives {row['student']} {text!r} points for {row['question']}; "
                f"expected 0 to {most:g}, or nothing yet"
            )
        found.setdefault(row["student"], {})[row["question"]] = {"points": points, "comment": row["comment"]}
    return found


def totals(record, by_hand):
    """Return the points of each question and whether some are still to be marked by hand."""
    points, waiting = {}, False
    for question, row in record["questions"].items():
        mark = by_hand.get(question, {}).get("points")
        waiting |= row["by_hand"] > 0 and mark is None
        points[question] = row["points"] + (mark or 0)
    return points, waiting


def write_all(master, folder, roster=None):
    """Write every table and page of the class in `folder`; marks in manual.csv are kept."""
    folder, found = Path(folder), records(folder)
    by_hand = marks(folder, master)
    rows, manual, scores = [], [], {}
    (folder / "feedback").mkdir(exist_ok=True)
    for record in found:
        student = record["student"]
        points, waiting = totals(record, by_hand.get(student, {}))
        total = round(sum(points.values()), 6)
        rows.append(
            [
                student,
                *(f"{value:g}" for value in points.values()),
                f"{total:g}",
                f"{master.points:g}",
                "yes" if waiting else "no",
            ]
        )
        scores[student] = "" if waiting else f"{total:g}"
        for cell in master.tagged("manual"):
            mark = by_hand.get(student, {}).get(cell.question, {})
            value = mark.get("points")
            manual.append(
                [
                    student,
                    cell.question,
                    "" if value is None else f"{value:g}",
                    f"{master.questions[cell.question]['manual']:g}",
                    mark.get("comment", ""),
                ]
            )
        page = feedback.of_student(record, by_hand.get(student))
        (folder / "feedback" / f"{student}.html").write_text(page)
    for student, kept in by_hand.items():
        if student not in scores:  # marked, but not among these hand-ins: no mark is thrown away
            worth = {question: master.questions[question]["manual"] for question in kept}
            manual += [
                [
                    student,
                    question,
                    "" if mark["points"] is None else f"{mark['points']:g}",
                    f"{worth[question]:g}",
                    mark["comment"],
                ]
                for question, mark in kept.items()
            ]
    write(folder / "grades.csv", ["student", *master.questions, "total", "of", "waits for marks by hand"], rows)
    if manual:
        write(
            folder / "manual.csv", ["student", "question", "points", "of", "comment"], dict.fromkeys(map(tuple, manual))
        )
        (folder / "marking.html").write_text(feedback.for_marking(master, found))
    if roster:
        write(folder / "canvas.csv", *canvas(master, scores, roster))


def canvas(master, scores, roster):
    """Return header and rows for Canvas: a roster's students with their score, empty where it is not final."""
    listed = table(roster)
    if not listed or not {"Student", "ID"} <= set(listed[0]):
        raise ValueError(
            f"{roster} has the columns {', '.join(listed[0]) if listed else 'none'}; "
            "expected Student and ID, as in a gradebook exported from Canvas"
        )
    columns = [name for name in CANVAS if name in listed[0]]
    rows = []
    for row in listed:
        if row["Student"].strip().startswith("Points Possible") or not row["ID"]:
            continue
        keys = [row.get(name, "") for name in ("SIS Login ID", "SIS User ID", "ID")]
        score = next((scores[key] for key in keys if key in scores), "")
        rows.append([*(row[name] for name in columns), score])
    return [*columns, master.title], rows


def main(arguments=None):
    """Read manual.csv and write the tables and feedback again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="the assignment, such as games")
    parser.add_argument("results", type=Path, help="the folder that instructor.grade wrote")
    parser.add_argument("--roster", type=Path, help="a gradebook exported from Canvas")
    parser.add_argument("--masters", type=Path, default=MASTERS, help="where the masters lie")
    options = parser.parse_args(arguments)
    write_all(read(options.masters / f"{options.name}.md"), options.results, options.roster)


if __name__ == "__main__":
    main()
