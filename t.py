import time, json
from instructor import build, attempt, master
from instructor.sandbox import Limits
import nbformat
m = master.read("instructor/assignments/example.md")
t = time.time()
c = attempt.Checker(m); print("checker", time.time()-t)
ref = build.notebook(m, [build.shown(p, p.solution) for p in m.cells if p.tag != "hidden"])
for nb in (ref, build.student(m)):
    t = time.time()
    r = attempt.grade(nbformat.writes(nb), m, c, limits=Limits(cell=5))
    print(time.time()-t, json.dumps(r["questions"], indent=1), r["cells"])
