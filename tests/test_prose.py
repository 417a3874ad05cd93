"""Docstrings of the library and its scripts keep to a few rules of prose.

A docstring begins with a verb or a noun; the description of an argument can
stand alone, as it may become a flag's help; and work resumes or continues.
"""

import ast
import pathlib
import re
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ('spiral_jax', 'environments', 'experiments')

# Files and folders that are not checked yet.
UNCHECKED: tuple[str, ...] = ()

_FIRST_WORD = re.compile(r'\s*(What|How|Whether|Where|Likewise)\b')
_GO_ON = re.compile(r'\b(go|goes|going)\s+on\b', re.IGNORECASE)
_SECTION = re.compile(r'( *)(Args|Attributes):\s*')
_ENTRY = re.compile(r'( *)(\*{0,2}\w+)(?: \([^)]*\))?:(.*)')


def test_docstrings_keep_to_the_rules():
  found = []
  for path in checked_files():
    found += faults(path.read_text(), path.relative_to(ROOT).as_posix())
  assert not found, '\n' + '\n'.join(found)


def test_files_are_checked():
  names = [path.relative_to(ROOT).as_posix() for path in checked_files()]
  assert 'spiral_jax/losses/wgan.py' in names
  assert 'environments/painting/strokes.py' in names
  assert not any(name.startswith(UNCHECKED) for name in names)


def checked_files() -> list[pathlib.Path]:
  return [
      path
      for folder in FOLDERS
      for path in sorted((ROOT / folder).rglob('*.py'))
      if not any(
          path == ROOT / name or ROOT / name in path.parents
          for name in UNCHECKED
      )
  ]


def faults(source: str, name: str) -> list[str]:
  """Returns a line `file:line: fault` for each fault of a source's docstrings.

  Args:
    source: text of a Python file.
    name: name of the file, for the lines.
  """
  found = []
  for first, text in docstrings(source):
    for line, fault in _faults(text):
      found.append((first + line, fault))
  return [f'{name}:{line}: {fault}' for line, fault in sorted(found)]


def docstrings(source: str) -> list[tuple[int, str]]:
  """Returns the docstrings in a source, each with its first line's number."""
  found = []
  for node in ast.walk(ast.parse(source)):
    if isinstance(
        node,
        (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef),
    ):
      text = ast.get_docstring(node, clean=False)
      if text is not None:
        found.append((node.body[0].lineno, text))
  return found


def _faults(text: str) -> list[tuple[int, str]]:
  """Returns the faults of a docstring, each with its line, counted from 0."""
  found = []
  match = _FIRST_WORD.match(text)
  if match:
    fault = f'begins with {match[1]!r}; begin with a verb or a noun'
    found.append((text.count('\n', 0, match.start(1)), fault))
  for match in _GO_ON.finditer(text):
    fault = f"{' '.join(match[0].split())!r}; write 'resume' or 'continue'"
    found.append((text.count('\n', 0, match.start()), fault))
  for line, argument, description in _entries(text):
    if description.startswith('of '):
      fault = f'{argument!r} is described as {description!r}; begin with a noun'
      found.append((line, fault))
    if description.rstrip('.').lower() == 'likewise':
      fault = f'{argument!r} is described as {description!r}; repeat it'
      found.append((line, fault))
  return found


def _entries(text: str) -> list[tuple[int, str, str]]:
  """Returns (line, name, description) of the arguments and attributes."""
  found: list[tuple[int, str, str]] = []
  section = None  # Indentation of the section's heading.
  for number, line in enumerate(text.split('\n')):
    indent = len(line) - len(line.lstrip())
    heading = _SECTION.fullmatch(line)
    entry = _ENTRY.match(line)
    if heading:
      section = len(heading[1])
    elif section is None or not line.strip():
      continue
    elif indent <= section:
      section = None
    elif entry and indent == section + 2:
      found.append((number, entry[2], entry[3].strip()))
    elif found:
      start, name, description = found[-1]
      found[-1] = start, name, f'{description} {line.strip()}'.strip()
  return found


# The check, on small sources.


@pytest.mark.parametrize(
    'word', ['What', 'How', 'Whether', 'Where', 'Likewise']
)
def test_a_first_word_that_is_no_noun_is_found(word):
  source = f'"""{word} a file does."""'
  (fault,) = faults(source, 'a.py')
  assert fault.startswith(f'a.py:1: begins with {word!r}')


def test_first_words_of_classes_and_functions_are_found():
  source = """
      class A:
        '''How it is.'''

        def f(self):
          '''
          What it does.
          '''

        async def g(self):
          '''Where it is.'''
  """
  found = faults(textwrap.dedent(source), 'a.py')
  assert [fault.split(':')[1] for fault in found] == ['3', '7', '11']


@pytest.mark.parametrize('words', ['go on', 'Goes on', 'going\n  on'])
def test_going_on_is_found(words):
  source = f'"""Summary.\n\n  Workers {words} later.\n"""'
  (fault,) = faults(source, 'a.py')
  assert fault.startswith(
      f"a.py:3: {' '.join(words.split())!r}; write 'resume'"
  )


@pytest.mark.parametrize('section', ['Args', 'Attributes'])
def test_descriptions_that_cannot_stand_alone_are_found(section):
  source = f'''
def f(a, b, *c):
  """Returns it.

  {section}:
    a: number of the best, or
      of the worst.
    b:
      of the canvas.
    *c: Likewise.
    d (int): of the page.

  Returns:
    of: nothing.
  """
'''
  found = faults(source, 'a.py')
  assert [fault.split(';')[0] for fault in found] == [
      "a.py:8: 'b' is described as 'of the canvas.'",
      "a.py:10: '*c' is described as 'Likewise.'",
      "a.py:11: 'd' is described as 'of the page.'",
  ]


@pytest.mark.parametrize(
    'text',
    [
        'Whatever a brush does.',
        'Howard and Whereabouts.',
        'Returns what a brush does, and how; others likewise.',
        'Moves along on the canvas; a cargo on its way.',
        'Returns it.\n\n  Args:\n    a: number of the canvas; b likewise.\n',
        'Returns it.\n\n  Raises:\n    ValueError: of the canvas.\n',
    ],
)
def test_other_docstrings_are_left_alone(text):
  assert not faults(f'"""{text}"""', 'a.py')


def test_what_is_no_docstring_is_left_alone():
  assert not faults('x = "What it is."\n# How it goes on.\n', 'a.py')
