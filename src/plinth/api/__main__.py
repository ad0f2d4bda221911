from plinth.api import serve
from plinth.bootstrap.role import run

run("plinth api", serve)
