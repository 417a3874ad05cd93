"""The layer rule of BUILD.md: what each layer may import and do.

It is checked twice. What stands in the code is read from its syntax tree, which
sees imports inside functions too; what importing really loads is read from
`sys.modules` of a fresh interpreter, which sees through other modules.
"""

import ast
from collections.abc import Iterator
import dataclasses
import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Layer:
  """What a module or package must not import.

  Attributes:
    name: dotted name.
    forbidden: modules, with all that is inside them.
  """

  name: str
  forbidden: tuple[str, ...]


LAYERS = (
    Layer('environments', ('jax', 'jaxlib', 'flax', 'spiral_jax')),
    Layer('spiral_jax', ('environments', 'mujoco', 'libmypaint', 'gi')),
    Layer('spiral_jax.losses', ('flax', 'dm_env', 'spiral_jax.driver')),
    Layer(
        'spiral_jax.ops',
        ('flax', 'optax', 'spiral_jax.networks', 'spiral_jax.driver'),
    ),
    Layer('spiral_jax.networks', ('spiral_jax.agents', 'spiral_jax.driver')),
    Layer('spiral_jax.agents', ('spiral_jax.driver', 'spiral_jax.training')),
    Layer(
        'spiral_jax.renderers',
        ('flax', 'dm_env', 'spiral_jax.driver', 'spiral_jax.training'),
    ),
    Layer('spiral_jax.search', ('spiral_jax.driver', 'spiral_jax.training')),
    Layer('spiral_jax.driver', ('flax', 'optax', 'rlax')),
)

# Layers whose loads are looked at in one interpreter, in this order.
INTERPRETERS = (
    ('environments',),
    ('spiral_jax.driver',),
    (
        'spiral_jax.ops',
        'spiral_jax.losses',
        'spiral_jax.renderers',
        'spiral_jax.networks',
        'spiral_jax.agents',
        'spiral_jax.search',
        'spiral_jax',
    ),
)

# Modules that need a library which may be missing.
OPTIONAL = {
    'spiral_jax.baselines.torch_agent': 'torch',
    'spiral_jax.driver.ray_launcher': 'ray',
    'spiral_jax.driver.ray_tasks': 'ray',
}

# Pure functions of arrays live here: no thread, no file, no clock.
PURE = (
    'spiral_jax.losses',
    'spiral_jax.ops',
    'spiral_jax.networks',
    'spiral_jax.renderers',
    'spiral_jax.agents',
)
# Defines flags, in functions that programs call.
FLAG_DEFINER = 'spiral_jax/training/flags.py'
IMPURE_MODULES = (
    'asyncio concurrent io multiprocessing orbax pickle shutil socket '
    'subprocess tempfile threading time urllib'
).split()
FILE_CALLS = (
    'open fdopen read_bytes read_text write_bytes write_text memmap fromfile '
    'tofile savez savez_compressed savetxt loadtxt'
).split()
THREAD_CALLS = (
    'Thread Timer ThreadPoolExecutor ProcessPoolExecutor ThreadPool Pool '
    'Process start_new_thread'
).split()
ENVIRON_WRITES = ('clear', 'pop', 'popitem', 'setdefault', 'update')


# The rule, on this repository.


@pytest.mark.parametrize('layer', LAYERS, ids=lambda layer: layer.name)
def test_layer_imports_nothing_forbidden(layer):
  assert sources(ROOT, layer.name)
  assert not forbidden_imports(ROOT, layer)


@pytest.fixture(scope='module')
def loaded():
  """Returns what each layer loads, by name.

  Starting an interpreter takes seconds, so layers share one where none loads
  what a later one must not.
  """
  found = {}
  for names in INTERPRETERS:
    groups = [importable(ROOT, name) for name in names]
    found.update(zip(names, loads(ROOT, *groups)))
  return found


@pytest.mark.parametrize('layer', LAYERS, ids=lambda layer: layer.name)
def test_layer_loads_nothing_forbidden(loaded, layer):
  assert not forbidden(loaded[layer.name], layer)


def test_rlax_is_imported_in_one_module():
  assert len(importers(ROOT, 'rlax')) == 1


def test_importing_losses_and_agents_does_not_load_rlax(loaded):
  assert 'spiral_jax.losses.policy_gradient' in loaded['spiral_jax.agents']
  assert 'rlax' not in loaded['spiral_jax.agents']


def test_one_file_starts_threads():
  assert len(thread_starters(ROOT)) == 1


def test_no_flag_is_defined_on_import():
  assert not misplaced_flags(ROOT)


def test_only_the_driver_imports_ray():
  found = importers(ROOT, 'ray')
  assert found and all(p.startswith('spiral_jax/driver/ray_') for p in found)


def test_importing_training_loads_no_optional_library():
  (found,) = loads(ROOT, ['spiral_jax.training'])
  assert not found & {'ray', 'torch', 'orbax.checkpoint', 'tensorboardX'}


def test_importing_leaves_the_process_environment_alone():
  assert not environ_writes(ROOT)


def test_pure_layers_touch_no_thread_file_or_clock():
  assert not impurities(ROOT)


# The checks themselves, on small trees that break the rule.

VIOLATIONS = {
    'plain': ('losses/a.py', 'import flax\n'),
    'inside': ('losses/a.py', 'from flax.linen import Dense\n'),
    'in a function': ('losses/a.py', 'def f():\n  import dm_env.specs\n'),
    'sibling': ('losses/a.py', 'from spiral_jax import driver\n'),
    'in a class': ('driver/a.py', 'class A:\n  import optax as o\n'),
}


@pytest.mark.parametrize('path, code', VIOLATIONS.values(), ids=VIOLATIONS)
def test_forbidden_import_is_found(tmp_path, path, code):
  tree = {f'spiral_jax/{path}': code, 'spiral_jax/networks/a.py': 'import flax'}
  write_tree(tmp_path, tree)
  found = sum((forbidden_imports(tmp_path, layer) for layer in LAYERS), [])
  assert len(found) == 1
  assert found[0].startswith(f'spiral_jax/{path}:')


def test_import_of_a_namesake_is_no_violation(tmp_path):
  write_tree(tmp_path, {'spiral_jax/driver/a.py': 'import optax_like, jax\n'})
  assert not any(forbidden_imports(tmp_path, layer) for layer in LAYERS)


def test_load_through_another_module_is_found(tmp_path):
  write_tree(
      tmp_path,
      {
          'spiral_jax/losses/a.py': 'from spiral_jax import helper\n',
          'spiral_jax/helper.py': 'import flax.linen\n',
          'flax/linen.py': '',
      },
  )
  losses = Layer('spiral_jax.losses', ('flax',))
  assert not forbidden_imports(tmp_path, losses)
  (found,) = loads(tmp_path, importable(tmp_path, 'spiral_jax.losses'))
  assert forbidden(found, losses) == ['flax', 'flax.linen']
  assert not forbidden(found, Layer('spiral_jax', ('optax', 'fla')))


def test_what_a_later_layer_loads_is_not_of_an_earlier_one(tmp_path):
  write_tree(
      tmp_path,
      {'spiral_jax/a.py': '', 'spiral_jax/b.py': 'import sched\n'},
  )
  before, after = loads(tmp_path, ['spiral_jax.a'], ['spiral_jax.b'])
  assert 'sched' in after - before
  assert 'spiral_jax.a' in before & after


def test_a_module_that_cannot_be_imported_is_an_error(tmp_path):
  write_tree(tmp_path, {'spiral_jax/losses/a.py': 'import nowhere_to_be_found'})
  with pytest.raises(AssertionError, match='nowhere_to_be_found'):
    loads(tmp_path, importable(tmp_path, 'spiral_jax'))


@pytest.mark.parametrize(
    'code',
    [
        'import threading\nthreading.Thread(target=print).start()',
        'from threading import Thread\nclass Mine(Thread): pass',
        'from concurrent import futures\nfutures.ThreadPoolExecutor(2)',
    ],
)
def test_thread_starter_is_found(tmp_path, code):
  write_tree(
      tmp_path,
      {
          'spiral_jax/driver/a.py': code,
          'spiral_jax/driver/b.py': 'import threading\nlock = threading.Lock()',
      },
  )
  assert thread_starters(tmp_path) == ['spiral_jax/driver/a.py']


def test_misplaced_flag_is_found(tmp_path):
  code = "from absl import flags\nX = flags.DEFINE_integer('x', 1, '')"
  write_tree(
      tmp_path,
      {
          'spiral_jax/a.py': code,
          'spiral_jax/training/flags.py': 'def f():\n  DEFINE_float()',
          'spiral_jax/training/a.py': 'def f():\n  DEFINE_float()',
          'experiments/a.py': code,
          'environments/a.py': 'DEFINED = 1',
      },
  )
  assert misplaced_flags(tmp_path) == [
      'spiral_jax/a.py:2: DEFINE_integer',
      'spiral_jax/training/a.py:2: DEFINE_float',
  ]


@pytest.mark.parametrize(
    'code, found',
    [
        ("import os\nos.environ['A'] = 'b'", True),
        ("import os\ndel os.environ['A']", True),
        ("import os\nos.environ.setdefault('A', 'b')", True),
        ("from os import environ\nif True:\n  environ['A'] = 'b'", True),
        ("import os\nos.putenv('A', 'b')", True),
        ('import os\nclass C:\n  os.environ |= {}', True),
        ("import os\ndef f():\n  os.environ['A'] = 'b'", False),
        ("import os\nA = os.environ.get('A', os.environ['B'])", False),
    ],
)
def test_environ_write_is_found(tmp_path, code, found):
  write_tree(tmp_path, {'environments/a.py': code})
  assert bool(environ_writes(tmp_path)) == found


@pytest.mark.parametrize(
    'code, found',
    [
        ('def f(p):\n  return open(p)', True),
        ('def f(p):\n  return p.read_text()', True),
        ('import numpy as np\nnp.load("x")', True),
        ('import time', True),
        ('from concurrent import futures', True),
        ('import jax\ndef f(load):\n  return load(jax.device_count())', False),
    ],
)
def test_impurity_is_found(tmp_path, code, found):
  write_tree(
      tmp_path,
      {
          'spiral_jax/agents/a.py': code,
          'spiral_jax/driver/a.py': 'import threading, time\nopen("x")',
      },
  )
  assert bool(impurities(tmp_path)) == found


# What the tests above are made of.


def forbidden_imports(root: pathlib.Path, layer: Layer) -> list[str]:
  """Returns `file:line: import` for what stands in the code of a layer."""
  return [
      f'{_place(root, path, node)}: {names[-1]}'
      for path in sources(root, layer.name)
      for node, names in imports(path)
      if any(_inside(name, layer.forbidden) for name in names)
  ]


def importable(root: pathlib.Path, name: str) -> list[str]:
  """Returns the modules of a layer, but for those whose library is missing."""
  modules = [dotted(root, path) for path in sources(root, name)]
  return [
      module
      for module in modules
      if module not in OPTIONAL or importlib.util.find_spec(OPTIONAL[module])
  ]


def forbidden(found: set[str], layer: Layer) -> list[str]:
  """Returns the loaded modules that a layer must not load."""
  return sorted(name for name in found if _inside(name, layer.forbidden))


def importers(root: pathlib.Path, library: str) -> list[str]:
  """Returns the files of both packages that import a library."""
  return [
      str(path.relative_to(root))
      for path in sources(root, 'spiral_jax', 'environments')
      if any(
          _inside(name, [library])
          for _, names in imports(path)
          for name in names
      )
  ]


def thread_starters(root: pathlib.Path) -> list[str]:
  """Returns the files of spiral_jax that make threads or processes."""
  return [
      str(path.relative_to(root))
      for path in sources(root, 'spiral_jax')
      if any(_makes_thread(node) for node in ast.walk(_parse(path)))
  ]


def misplaced_flags(root: pathlib.Path) -> list[str]:
  """Returns `file:line: DEFINE_x` for flags that the library defines.

  One module of it may do so, but not when it is imported.
  """
  found = []
  for path in sources(root, 'spiral_jax', 'environments'):
    tree = _parse(path)
    is_definer = str(path.relative_to(root)) == FLAG_DEFINER
    nodes = _outside_functions(tree) if is_definer else ast.walk(tree)
    found += [
        f'{_place(root, path, node)}: {_called(node)}'
        for node in nodes
        if _called(node).startswith('DEFINE_')
    ]
  return found


def environ_writes(root: pathlib.Path) -> list[str]:
  """Returns `file:line` of each write to `os.environ` while importing."""
  return [
      _place(root, path, node)
      for path in sources(root, 'spiral_jax', 'environments', 'experiments')
      for node in _outside_functions(_parse(path))
      if _writes_environ(node)
  ]


def impurities(root: pathlib.Path) -> list[str]:
  """Returns `file:line: name` of threads, files and clocks in pure layers."""
  found = []
  for path in sources(root, *PURE):
    for node, names in imports(path):
      if any(_inside(name, IMPURE_MODULES) for name in names):
        found.append(f'{_place(root, path, node)}: {names[-1]}')
    for node in ast.walk(_parse(path)):
      if _called(node) in FILE_CALLS or _loads_array(node):
        found.append(f'{_place(root, path, node)}: {_called(node)}')
  return found


def loads(root: pathlib.Path, *groups: list[str]) -> list[set[str]]:
  """Returns the names in `sys.modules` after importing in a new interpreter.

  A mapped libmypaint, which is no Python module, counts as `libmypaint`.

  Args:
    root: folder to import from.
    *groups: dotted names. Groups are imported one after the other, and names
      are returned for each.

  Raises:
    AssertionError: if an import fails; holds what it printed.
  """
  script = (
      'import importlib, json, pathlib, sys\n'
      'maps = pathlib.Path("/proc/self/maps")\n'
      'for group in json.loads(sys.argv[1]):\n'
      '  for name in group: importlib.import_module(name)\n'
      '  loaded = set(sys.modules)\n'
      '  if maps.exists() and "libmypaint" in maps.read_text():\n'
      '    loaded.add("libmypaint")\n'
      '  print(json.dumps(sorted(loaded)))\n'
  )
  result = subprocess.run(
      [sys.executable, '-c', script, json.dumps(groups)],  # '' leads sys.path.
      cwd=root,
      capture_output=True,
      text=True,
      check=False,
  )
  assert result.returncode == 0, result.stderr
  lines = result.stdout.splitlines()[-len(groups) :]
  return [set(json.loads(line)) for line in lines]


def sources(root: pathlib.Path, *names: str) -> list[pathlib.Path]:
  """Returns the Python files of packages or modules with dotted names."""
  paths = []
  for name in names:
    path = root.joinpath(*name.split('.'))
    module = path.with_suffix('.py')
    paths += [module] if module.exists() else sorted(path.rglob('*.py'))
  return paths


def dotted(root: pathlib.Path, path: pathlib.Path) -> str:
  """Returns the name by which a file is imported."""
  parts = path.relative_to(root).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports(path: pathlib.Path) -> Iterator[tuple[ast.stmt, list[str]]]:
  """Yields each import statement and all modules that it may name."""
  for node in ast.walk(_parse(path)):
    if isinstance(node, ast.Import):
      yield node, [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, f'{path}:{node.lineno}: a relative import'
      inner = [f'{node.module}.{alias.name}' for alias in node.names]
      yield node, [str(node.module), *inner]


def write_tree(root: pathlib.Path, files: dict[str, str]) -> None:
  """Writes files, given by path from the root, as parts of packages."""
  for name, content in files.items():
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding='utf-8')
    for folder in path.relative_to(root).parents[:-1]:
      (root / folder / '__init__.py').touch()


def _parse(path: pathlib.Path) -> ast.Module:
  return ast.parse(path.read_text(encoding='utf-8'), str(path))


def _place(root: pathlib.Path, path: pathlib.Path, node: ast.AST) -> str:
  return f'{path.relative_to(root)}:{getattr(node, "lineno", 0)}'


def _inside(name: str, packages) -> bool:
  return any(name == p or name.startswith(p + '.') for p in packages)


def _last_name(node: ast.AST) -> str:
  """Returns `c` for the expressions `c` and `a.b.c`, else ''."""
  if isinstance(node, ast.Attribute):
    return node.attr
  return node.id if isinstance(node, ast.Name) else ''


def _called(node: ast.AST) -> str:
  return _last_name(node.func) if isinstance(node, ast.Call) else ''


def _makes_thread(node: ast.AST) -> bool:
  bases = node.bases if isinstance(node, ast.ClassDef) else []
  names = [_called(node), *map(_last_name, bases)]
  return any(name in THREAD_CALLS for name in names)


def _loads_array(node: ast.AST) -> bool:
  return _called(node) in ('load', 'save') and (
      isinstance(node.func, ast.Attribute)
      and _last_name(node.func.value) in ('np', 'jnp', 'numpy')
  )


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
  """Yields what runs on import: everything but the bodies of functions."""
  for child in ast.iter_child_nodes(node):
    if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
      continue
    yield child
    yield from _outside_functions(child)


def _writes_environ(node: ast.AST) -> bool:
  if isinstance(node, ast.Call):
    if _called(node) in ('putenv', 'unsetenv'):
      return True
    return (
        isinstance(node.func, ast.Attribute)
        and node.func.attr in ENVIRON_WRITES
        and _last_name(node.func.value) == 'environ'
    )
  if isinstance(node, ast.Assign | ast.Delete):
    targets = node.targets
  elif isinstance(node, ast.AugAssign | ast.AnnAssign):
    targets = [node.target]
  else:
    return False
  return any(
      _last_name(t) == 'environ'
      or isinstance(t, ast.Subscript)
      and _last_name(t.value) == 'environ'
      for t in targets
  )
