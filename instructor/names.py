"""Which names a piece of Python binds and needs: what a check may use without the student's code."""

import ast


def bound(source):
    """Return the names that the top level of `source` binds."""
    found = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            found.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
        else:
            found |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return found


def without(source, missing):
    """Return `source` without the top-level statements that need one of the names `missing`, and what is missing then.

    A statement that is left out takes the names it binds with it, unless an earlier one has bound them.
    """
    kept, missing, have = [], set(missing), set()
    for statement in ast.parse(source).body:
        needed = {
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        binds = bound(ast.unparse(statement))
        if needed & missing:
            missing |= binds - have
        else:
            kept.append(statement)
            have |= binds
            missing -= binds
    return "\n".join(map(ast.unparse, kept)), missing
