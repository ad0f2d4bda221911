from plinth.bootstrap.role import run
from plinth.worker import serve

run("plinth worker", serve)
