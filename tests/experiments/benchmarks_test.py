"""Benchmarks run, on a tiny agent, and print what they are for."""

import json
import re

import jax
import jax.numpy as jnp
from PIL import Image
import pytest

from spiral_jax.training import profiling
from tests import tiny

FLAGS = [
    flag
    for flag in tiny.flags('unused')
    if not flag.startswith(('--run_dir', '--lockstep', '--frames'))
]


def run(name, *arguments):
  code, output, errors = tiny.run_program(f'benchmarks/{name}.py', *arguments)
  assert code == 0, errors
  return output


@pytest.mark.slow
def test_pipeline_compares_training_with_its_parts():
  output = run('pipeline', *FLAGS, '--turns=1', '--seconds=1', '--noplain')
  for name in (
      'empty cache',
      'from the cache',
      'most memory',
      'drawing',
      'discriminator updates',
      'policy update',
      'training does',
  ):
    figure = re.search(rf'{name}.* (\d+\.?\d*) (s|MiB|ms|/s)', output)
    assert figure and float(figure[1]) > 0, (name, output)
  allowed, done = re.findall(r'(\d+\.\d) +/s', output)
  share = int(re.search(r'/s, (\d+)%', output)[1])
  assert share == pytest.approx(100 * float(done) / float(allowed), abs=1.0)


@pytest.mark.slow
def test_growth_measures_every_size(tmp_path):
  run(
      'growth',
      *FLAGS,
      '--turns=1',
      '--batch_sizes=2',
      '--episode_lengths=3',  # As the flags say: nothing to compile but once.
      '--canvas_sizes=16',
      '--actors=2',
      f'--out_dir={tmp_path}',
  )
  costs = json.loads((tmp_path / 'growth.json').read_text())
  assert {name: list(row) for name, row in costs.items()} == {
      'episodes a batch': ['2'],
      'commands an episode': ['3'],
      'canvas, pixels': ['16'],
      'actors': ['2'],
  }
  assert costs['canvas, pixels']['16']['update'] > 0
  assert (tmp_path / 'growth.png').stat().st_size > 1000


@pytest.mark.slow
def test_speed_gathers_what_benchmarks_found(tmp_path, capfd):
  run(
      'speed',
      '--only=painting',
      '--extra=--turns=1',
      '--extra=--canvases=2',
      '--extra=--commands=2',
      f'--out_dir={tmp_path}',
  )
  output = capfd.readouterr().out  # Of the processes that it starts.
  rows = (tmp_path / 'speed.md').read_text().splitlines()
  found = re.findall(
      r'(.*) against .*: (\d+\.\d+)x (\(.*\))', output  # As it prints it.
  )
  assert len(found) == 2
  for (name, ratio, quartiles), row in zip(found, rows[-2:]):
    what, _, _, shown = [cell.strip() for cell in row.strip('|').split('|')]
    assert what.endswith(name) and shown == f'{ratio} {quartiles}'
  assert (tmp_path / 'speed.png').stat().st_size > 1000


@pytest.mark.slow
def test_search_shows_what_rounds_gain():
  output = run('search', '--weights=digits', '--count=2', '--rounds=10')
  shares = {
      name: float(share)
      for name, share in re.findall(r'^(\w.*?) +(\d+\.\d)%', output, re.M)
  }
  assert list(shares) == [
      'one sample',
      'greedy',
      'best of 16',
      'best of 16, 10 rounds of search',
      'best of 16, 10 rounds of search, whole',
      'random',
      'random, 10 rounds of search',
      'random, 10 rounds of search, whole',
  ]
  assert shares['best of 16'] <= shares['random']
  for start in ('best of 16', 'random'):
    for way in ('', ', whole'):
      assert shares[f'{start}, 10 rounds of search{way}'] < shares[start]
  assert len(re.findall(r'[1-9]\d* programs per CPU second', output)) == 4


def test_renderers_draws_the_same_twice(tmp_path):
  output = run(
      'renderers',
      '--only=scenes',
      '--only=pen',
      '--count=4',
      '--batch=4',
      '--length=2',
      f'--out={tmp_path}/worst.png',
  )
  rows = dict(re.findall(r'^ +(\w+) +([\d.]+%.*)$', output, re.M))
  assert list(rows) == ['scenes', 'pen']
  equal, *differences, blank, _, host, device = rows['scenes'].split()
  assert equal == '100.00%' and not any(map(float, differences))
  assert float(blank) > 1
  assert float(host) > 0 and float(device) > 0
  width, height = Image.open(tmp_path / 'worst.png').size
  assert (width, height) == (4 * 128, 2 * 64)


@pytest.mark.slow
def test_accelerator_measures_sections_on_a_cpu(tmp_path):
  output = run(
      'accelerator',
      *FLAGS,
      '--conditional',
      '--noise_size=0',
      '--budget=1.2',
      '--batches=8',
      '--turns=1',
      '--only=compiling',
      '--only=equality',
      '--only=rates',
      '--only=population',
      '--members=2',
      '--only=device',
      f'--out_dir={tmp_path}/out',
  )
  found = json.loads((tmp_path / 'out' / 'figures.json').read_text())
  assert not found['not_measured'], output
  figures = {(f['section'], f['name']): f['value'] for f in found['figures']}
  sections = list(dict.fromkeys(section for section, _ in figures))
  assert sections == [
      'Compiling',
      'Equality with the CPU',
      'Rates',
      'Population',
      'Training, device renderer',
  ]
  for (section, name), value in figures.items():
    assert value >= 0
    if section == 'Equality with the CPU':
      assert value < 1e-5  # It is the CPU.
    assert section != 'Rates' or value > 1, name
  page = (tmp_path / 'out' / 'figures.md').read_text()
  assert all(f'## {section}' in page for section in sections)


def test_accelerator_tells_what_there_was_no_time_for(tmp_path):
  run(
      'accelerator',
      *FLAGS,
      '--budget=0',
      '--only=bfloat16',
      '--only=curve',
      f'--out_dir={tmp_path}/out',
  )
  found = json.loads((tmp_path / 'out' / 'figures.json').read_text())
  assert list(found['not_measured']) == ['bfloat16', 'Training, to the end']
  assert 'no time left' in found['not_measured']['bfloat16']


def test_compiling_counts_operations_and_seconds():
  # No other test has compiled these.
  output = run('compiling', *FLAGS, '--core_size=17')
  rows = {
      name: [float(number.replace(',', '')) for number in numbers.split()]
      for name, numbers in re.findall(r'^ +(\w+) +([\d., ]+)$', output, re.M)
  }
  for name in ('init', 'step', 'prepare', 'gradient_step'):
    modules, operations, *seconds = rows[name]
    assert modules >= 1 and operations > 100 and min(seconds) > 0
  total = [sum(row[i] for row in rows.values()) / 2 for i in range(5)]
  assert rows['total'] == pytest.approx(total, abs=0.5)


def test_trace_tells_what_takes_long(tmp_path):
  @jax.jit
  def sort_often(x):
    return jax.lax.fori_loop(0, 50, lambda _, x: jnp.sort(x * -1.5, axis=0), x)

  x = jnp.ones((64, 64))
  sort_often(x)  # Compiles.
  seconds = profiling.trace(
      lambda: sort_often(x).block_until_ready(), tmp_path, calls=2
  )
  assert list(seconds)[0] == 'sort'
  assert 'while' not in seconds  # All of the above once more.
  assert list(tmp_path.glob('**/perfetto_trace.json.gz'))


@pytest.mark.slow
def test_drawing_compares_paintings_with_others(tmp_path):
  out = tmp_path / 'out'
  output = run(
      'drawing',
      '--images=photographs,kanji',
      '--count=1',
      '--strokes=5',
      '--seconds=0.5',
      f'--out_dir={out}',
  )
  figures = json.loads((out / 'figures.json').read_text())
  assert list(figures) == ['photographs', 'kanji']
  photographs, kanji = figures['photographs'], figures['kanji']
  assert list(photographs) == [
      'best page of one color',
      'agent of portraits, best of 64',
      'vtracer, 5 paths',
      'Hertzmann, 5 strokes',
      '5 strokes, 0.5 s',
  ]
  errors = {name: row['l2_256'] for name, row in photographs.items()}
  assert errors['5 strokes, 0.5 s'] < errors['best page of one color']
  assert errors['vtracer, 5 paths'] <= errors['best page of one color']
  assert f'{errors["5 strokes, 0.5 s"]:.4f}' in output
  assert (
      kanji['lines']['l2_256'] < 0.5 * kanji['best page of one color']['l2_256']
  )
  assert (out / 'kanji.png').exists() and (out / 'photographs.png').exists()
