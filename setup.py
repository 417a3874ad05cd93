"""Names, version bounds, packages and the native extensions."""

import glob
import os
import re

import setuptools
from setuptools.command import build_ext

# Lower bounds are versions that the tests were run with, all of them together
# (BUILD.md says how). No upper bounds: none was found to be needed.
_CORE = [
    'absl-py>=2.3.1',
    'chex>=0.1.91',
    'dm-env>=1.6',
    'flax>=0.12.0',
    'jax>=0.8.1',
    'mujoco>=3.3.7',
    'numpy>=2.2.0',
    'optax>=0.2.6',
    'rlax>=0.1.8',
]

# What the driver and the experiments use to save, show and plot.
_TRAIN = [
    'av>=16.0.0',
    'matplotlib>=3.10.0',
    'orbax-checkpoint>=0.11.36',
    'pillow>=11.3.0',
    'rich>=14.0.0',
    'scipy>=1.17.1',
    'svgpathtools>=1.8.0',
    'tensorboardX>=2.6.4',
]

# What several machines, and populations of runs, are run by.
_DISTRIBUTED = ['ray>=2.60.0']

# What `make docs` builds the documentation with.
_DOCS = [
    'mkdocs>=1.6.1',
    'mkdocstrings[python]>=1.0.8',
]

# What benchmarks compare with.
_DRAWING = ['scikit-image>=0.26.0', 'vtracer>=0.6.15']
_BENCHMARK = ['torch>=2.13.0', *_DRAWING]

_TEST = [
    'hypothesis>=6.140.0',
    'mypy>=1.18.1',
    'pyink>=26.5.1',
    'pytest>=8.4.0',
    'pytest-cov>=7.0.0',
    'pytest-xdist>=3.8.0',
    'ruff>=0.14.0',
    'setuptools>=77.0.3',  # Runs setup.py in a test.
    *_DRAWING,
]


def _version() -> str:
  """Returns `spiral_jax.__version__`, without importing anything."""
  with open('spiral_jax/__init__.py', encoding='utf-8') as file:
    match = re.search(r"^__version__ = '(.*)'$", file.read(), re.MULTILINE)
  assert match is not None
  return match[1]


def _extension(package: str, *flags: str) -> setuptools.Extension:
  """Returns a package's `_native.so`, made of its folder `csrc`.

  Plain C, loaded through ctypes: it needs no Python headers. It is optional:
  without a compiler, Python and XLA compute the same, more slowly.
  """
  folder = package.replace('.', '/') + '/csrc'
  return setuptools.Extension(
      f'{package}._native',
      sources=sorted(glob.glob(f'{folder}/*.c')),
      depends=sorted(glob.glob(f'{folder}/*.h')),
      extra_compile_args=[
          # With these two, loops become vector code.
          '-fno-math-errno',
          '-fno-trapping-math',
          '-fPIC',
          '-pthread',
          *flags,
      ],
      extra_link_args=['-pthread'],
      libraries=['dl', 'm'],
      optional=True,
  )


# libmypaint is opened when the program runs, so its headers are not needed.
# Contracted multiply-adds would round differently from its own arithmetic, and
# pictures would no longer be equal bit for bit.
_PAINTING = _extension('environments.painting', '-O3', '-ffp-contract=off')

# Convolutions for XLA, whose binary interface csrc/xla_ffi.h declares. Their
# loops are unrolled and made of vectors as they stand: GCC's -O3 takes half a
# minute longer over them than -O2, and the result is no faster.
_OPS = _extension('spiral_jax.ops', '-O2', '-ffp-contract=fast')


class BuildSharedLibrary(build_ext.build_ext):
  """Builds the extension under a name that holds no Python version.

  The library has no Python ABI, and one name means that a tree used with two
  Pythons can never load a stale one.
  """

  def get_ext_filename(self, fullname: str) -> str:
    return os.path.join(*fullname.split('.')) + '.so'


setuptools.setup(
    name='spiral_jax',
    version=_version(),
    description='Agents that draw: SPIRAL (Ganin et al., 2018) in JAX.',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.11',
    # So that an editable install finds experiments from any folder, too.
    package_dir={'': '.'},
    packages=setuptools.find_packages(
        include=['spiral_jax', 'spiral_jax.*', 'environments', 'environments.*']
    ),
    package_data={
        'environments.painting': ['player.html'],
        'spiral_jax': ['weights/**'],
        'spiral_jax.datasets': ['embedded/**'],
        'spiral_jax.evaluation': ['judge.*'],
    },
    # Only what is named above: pictures and notes stay in the repository.
    include_package_data=False,
    ext_modules=[_PAINTING, _OPS],
    cmdclass={'build_ext': BuildSharedLibrary},
    install_requires=_CORE,
    extras_require={
        'train': _TRAIN,
        'distributed': _DISTRIBUTED,
        'test': _TEST,
        'benchmark': _BENCHMARK,
        'docs': _DOCS,
    },
)
