"""Write the next migration: `python tools/make_migration.py 0002 "add labels"`.

Compares the tables the slices declare with a fresh database brought to the newest revision.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from plinth.bootstrap import schema
from plinth.kit.db import Database

revision, message = sys.argv[1:3]
with tempfile.TemporaryDirectory() as folder:
    db = Database(f"sqlite:///{Path(folder) / 'empty.db'}")
    if any((schema.MIGRATIONS / "versions").glob("[0-9]*.py")):
        schema.migrate(db)
    with db.engine.begin() as connection:
        schema.autogenerate(connection, message, revision)
written = sorted((schema.MIGRATIONS / "versions").glob(f"{revision}_*.py"))
subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", *map(str, written)], check=True)
