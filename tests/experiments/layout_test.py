"""experiments/ holds programs that stand alone, and parts of `draw.py`."""

import ast

import pytest

from tests import tiny

FOLDER = tiny.ROOT / 'experiments'
# What programs that draw share, and what knows painting and the library alike.
PARTS = sorted((FOLDER / 'drawing').glob('*.py'))
PROGRAMS = sorted(set(FOLDER.rglob('*.py')) - set(PARTS))


@pytest.mark.parametrize(
    'path', PROGRAMS, ids=lambda path: str(path.relative_to(FOLDER))
)
def test_is_a_program_that_imports_no_other(path):
  source = path.read_text()
  tree = ast.parse(source)
  functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
  (main,) = [f for f in functions if f.name == 'main']
  assert [argument.arg for argument in main.args.args] == ['argv']
  assert source.rstrip().endswith('cli.run(main)')
  assert 'sys.path' not in source
  names = {p.stem for p in PROGRAMS} | {'experiments'}
  for node in ast.walk(tree):
    if isinstance(node, ast.ImportFrom):
      if node.module == 'experiments.drawing':
        continue
      assert str(node.module).split('.')[0] not in names, node.module
    elif isinstance(node, ast.Import):
      assert not {a.name.split('.')[0] for a in node.names} & names


@pytest.mark.parametrize('path', PARTS, ids=lambda path: path.stem)
def test_parts_are_no_programs(path):
  source = path.read_text()
  assert '__main__' not in source and 'flags' not in source


def test_training_programs_are_short():
  for name in ('mnist', 'omniglot', 'celeba', 'mujoco_scenes', 'train'):
    source = (FOLDER / f'{name}.py').read_text()
    code = source.split('"""')[2]
    assert len(code.strip().splitlines()) <= 25, name
