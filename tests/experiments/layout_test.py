"""experiments/ holds programs that stand alone, and nothing else."""

import ast

import pytest

from tests import tiny

FOLDER = tiny.ROOT / 'experiments'
PROGRAMS = sorted(FOLDER.rglob('*.py'))


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
      assert str(node.module).split('.')[0] not in names, node.module
    elif isinstance(node, ast.Import):
      assert not {a.name.split('.')[0] for a in node.names} & names


def test_training_programs_are_short():
  for name in ('mnist', 'omniglot', 'celeba', 'mujoco_scenes', 'train'):
    source = (FOLDER / f'{name}.py').read_text()
    code = source.split('"""')[2]
    assert len(code.strip().splitlines()) <= 25, name
