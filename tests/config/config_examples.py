"""A project and a suite without a mistake, to put one into."""

PROJECT = """\
project: demo
targets:
  support:
    kind: chat
    prompt: prompts/answer.j2
    model: small
"""
SUITE = """\
dataset: golden/cases.lines
targets: [support]
scorers:
  - overlap
"""
