"""Tests of the painting renderer: what a command does, and reproducibility."""

import gc
import json

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
import numpy as np
import pytest

from environments import painting
from environments.painting import library
from environments.painting import native

# Between them: random inputs and offsets, slow tracking, smudging, ellipses,
# soft and hard dabs.
_BRUSHES = (
    'classic/pen',
    'classic/brush',
    'classic/calligraphy',
    'classic/charcoal',
    'classic/dry_brush',
    'classic/ink_blot',
    'classic/kabura',
    'classic/long_grass',
    'classic/blend+paint',
    'classic/modelling',
    'classic/smudge+paint',
)

# Brushes without random numbers: thin and broad, smudging, with slow tracking.
_COPYABLE = (
    'classic/pen',
    'classic/brush',
    'classic/calligraphy',
    'classic/kabura',
    'classic/modelling',
    'classic/smudge+paint',
)

needs_native = pytest.mark.skipif(
    not native.is_built(), reason='the native painting step is not built here'
)


def _sample(spec, count, rng, paint=0.8):
  command = {
      name: rng.integers(0, part.num_values, count)
      for name, part in spec.items()
  }
  command['flag'] = (rng.random(count) < paint).astype(int)
  return command


def _program(settings, length, count=1, seed=0):
  rng = np.random.default_rng(seed)
  spec = settings.action_spec()
  return [_sample(spec, count, rng) for _ in range(length)]


def _render(renderer, program):
  return np.stack([renderer.reset()] + [renderer.step(c) for c in program])


def _take(program, index):
  return [{k: v[index : index + 1] for k, v in c.items()} for c in program]


@pytest.mark.parametrize('brush', _BRUSHES)
def test_episode_does_not_depend_on_what_was_painted_before(brush, backend):
  settings = painting.PaintingSettings(
      brush=brush, color=True, brush_sizes=(2, 6)
  )
  program = _program(settings, 4)
  renderer = painting.PaintingRenderer(settings, backend=backend)
  first = _render(renderer, program)
  assert not np.array_equal(first[0], first[-1])
  _render(renderer, _program(settings, 3, seed=1))
  np.testing.assert_array_equal(_render(renderer, program), first)


@needs_native
@pytest.mark.parametrize('brush', _COPYABLE)
@pytest.mark.parametrize('time', range(5))
def test_a_copy_continues_as_its_source_bit_for_bit(brush, time):
  settings = painting.PaintingSettings(
      brush=brush, color=True, brush_sizes=(2, 6)
  )
  program = _program(settings, 5, count=2, seed=time)
  expected = _render(painting.PaintingRenderer(settings, 2), program)[-1]
  renderer = painting.PaintingRenderer(settings, 6, num_threads=2)
  assert renderer.can_copy
  _render(renderer, _program(settings, 3, count=6, seed=9))  # Used brushes.
  renderer.reset()
  others = _program(settings, 5, count=6, seed=8)
  for command, other in zip(program[:time], others):
    both = {k: np.concatenate([v, other[k][2:]]) for k, v in command.items()}
    renderer.step(both)
  sources, copies = np.array([1, 0]), np.array([5, 3])
  renderer.copy(sources, copies)
  for command in program[time:]:
    turned = {k: v[sources] for k, v in command.items()}
    renderer.draw_on(turned, copies)
  np.testing.assert_array_equal(renderer.read(copies), expected[sources])


@needs_native
def test_a_copy_leaves_its_source_and_others_alone():
  settings = painting.PaintingSettings(color=True, background='transparent')
  program = _program(settings, 3, count=3)
  renderer = painting.PaintingRenderer(settings, 3)
  expected = _render(renderer, program)[-1]
  renderer.copy(np.array([0]), np.array([2]))
  command = {k: v[:1] for k, v in program[0].items()}
  renderer.draw_on(command | {'flag': np.array([1])}, np.array([2]))
  np.testing.assert_array_equal(renderer.read(np.arange(2)), expected[:2])
  assert (renderer.read(np.array([2])) != expected[0]).any()


@needs_native
@pytest.mark.parametrize('brush', ('classic/ink_blot', 'classic/charcoal'))
def test_a_brush_with_random_numbers_cannot_be_copied(brush):
  renderer = painting.PaintingRenderer(painting.PaintingSettings(brush=brush))
  renderer.reset()
  assert not renderer.can_copy
  with pytest.raises(RuntimeError, match='cannot be copied'):
    renderer.copy(np.array([0]), np.array([0]))


def test_without_the_extension_nothing_can_be_copied():
  settings = painting.PaintingSettings()
  renderer = painting.PaintingRenderer(settings, backend='ctypes')
  assert not renderer.can_copy


def test_batch_equals_single_canvases(backend):
  settings = painting.PaintingSettings(brush='classic/charcoal', color=True)
  program = _program(settings, 4, count=5)
  batch = _render(
      painting.PaintingRenderer(settings, 5, backend=backend), program
  )
  single = painting.PaintingRenderer(settings, 1, backend=backend)
  for i in range(5):
    np.testing.assert_array_equal(
        _render(single, _take(program, i))[:, 0], batch[:, i]
    )


@needs_native
@pytest.mark.parametrize('num_threads', [2, 3, 200])
def test_threads_equal_one_thread(num_threads):
  settings = painting.PaintingSettings(brush='classic/dry_brush', color=True)
  program = _program(settings, 6, count=33)
  alone = painting.PaintingRenderer(settings, 33, 'native')
  shared = painting.PaintingRenderer(
      settings, 33, 'native', num_threads=num_threads
  )
  expected = _render(alone, program)
  for _ in range(3):
    np.testing.assert_array_equal(_render(shared, program), expected)


@needs_native
@hypothesis_settings(max_examples=40, deadline=None)
@given(
    brush=st.sampled_from(_BRUSHES),
    # Tiles are 64 pixels: less than one, one, part of a second, two.
    canvas_size=st.sampled_from([20, 64, 100, 128]),
    grid_size=st.sampled_from([7, 32]),
    color=st.booleans(),
    pressure=st.booleans(),
    background=st.sampled_from(['white', 'transparent', '#59a6f0']),
    brush_sizes=st.sampled_from([(1, 2, 3), (0.5, 2.9, 3, 12, 40), (5,)]),
    seed=st.integers(0, 2**32 - 1),
)
def test_native_and_ctypes_draw_the_same_pixels(seed, **fields):
  if not fields['color']:
    fields['background'] = fields['background'].replace('#59a6f0', '#a6a6a6')
  settings = painting.PaintingSettings(**fields)
  program = _program(settings, 4, count=2, seed=seed)
  np.testing.assert_array_equal(
      _render(painting.PaintingRenderer(settings, 2, 'native'), program),
      _render(painting.PaintingRenderer(settings, 2, 'ctypes'), program),
  )


@needs_native
@pytest.mark.parametrize('background', ['white', 'transparent', '#59a6f0'])
@pytest.mark.parametrize('colorize', [0.0, 0.6])
@pytest.mark.parametrize('lock_alpha', [0.0, 0.3])
@pytest.mark.parametrize('eraser', [0.0, 0.4])
def test_modes_that_no_inking_classic_brush_uses(
    background, colorize, lock_alpha, eraser, tmp_path
):
  brush = json.loads(library.read_brush('classic/brush'))
  for name, value in (
      ('colorize', colorize),
      ('lock_alpha', lock_alpha),
      ('eraser', eraser),
  ):
    brush['settings'][name] = {'base_value': value, 'inputs': {}}
  (tmp_path / 'made_up.myb').write_text(json.dumps(brush))
  settings = painting.PaintingSettings(
      brush='made_up',
      brushes_path=str(tmp_path),
      color=True,
      canvas_size=100,
      background=background,
      brush_sizes=(4, 10),
  )
  program = _program(settings, 4, count=2)
  result = _render(painting.PaintingRenderer(settings, 2, 'native'), program)
  np.testing.assert_array_equal(
      result,
      _render(painting.PaintingRenderer(settings, 2, 'ctypes'), program),
  )
  assert not np.array_equal(result[0], result[-1])


def test_parts_that_a_move_ignores_change_nothing(backend):
  settings = painting.PaintingSettings(color=True, brush='classic/charcoal')
  program = _program(settings, 8, count=3, seed=3)
  other = _program(settings, 8, count=3, seed=4)
  mixed = []
  for command, noise in zip(program, other):
    is_paint = command['flag'] == 1
    mixed.append(
        {
            name: np.where(is_paint, value, noise[name])
            if part.active_if
            else value
            for (name, value), part in zip(
                command.items(), settings.action_spec().values()
            )
        }
    )
  assert any(
      (a['control'] != b['control']).any() for a, b in zip(program, mixed)
  )
  renderer = painting.PaintingRenderer(settings, 3, backend=backend)
  np.testing.assert_array_equal(
      _render(renderer, program), _render(renderer, mixed)
  )


def _line(start, end, control, **parts):
  """A move to `start`, then a stroke; one canvas."""
  move = {'flag': 0, 'end': start, 'control': 0, **parts}
  paint = {'flag': 1, 'end': end, 'control': control, **parts}
  return [
      {k: np.array([v]) for k, v in command.items()}
      for command in (move, paint)
  ]


def test_move_leaves_no_ink_and_goes_to_y_and_x(backend):
  settings = painting.PaintingSettings(brush_sizes=(2,), pressure=False)
  renderer = painting.PaintingRenderer(settings, backend=backend)
  start, end = 4 * 32 + 20, 4 * 32 + 28  # Row 4, columns 20 to 28.
  frames = _render(renderer, _line(start, end, end))
  blank, moved, painted = frames[:, 0, ..., 0]
  assert (blank == 255).all() and (moved == 255).all()
  rows, columns = np.nonzero(painted < 255)
  assert rows.min() >= 8 - 4 and rows.max() <= 8 + 4
  assert 36 <= columns.min() <= 42 and 54 <= columns.max() <= 60


def test_end_is_y_times_width_plus_x_and_control_bends(backend):
  settings = painting.PaintingSettings(brush_sizes=(1,), pressure=False)
  renderer = painting.PaintingRenderer(settings, backend=backend)
  left, right, bottom = 16 * 32 + 4, 16 * 32 + 28, 30 * 32 + 16
  straight = _render(renderer, _line(left, right, 16 * 32 + 16))[-1, 0, ..., 0]
  bent = _render(renderer, _line(left, right, bottom))[-1, 0, ..., 0]
  assert np.nonzero(straight < 255)[0].max() <= 34
  # The middle of the curve is half way from the chord to the control point.
  middle = np.nonzero(bent[:, 32] < 255)[0].mean()
  assert abs(middle - (32 + 60) / 2) <= 1.5


def test_first_stroke_starts_at_the_top_left_corner(backend):
  settings = painting.PaintingSettings(brush_sizes=(2,), pressure=False)
  renderer = painting.PaintingRenderer(settings, backend=backend)
  location = np.array([31 * 32 + 31])
  renderer.reset()
  canvas = renderer.step(
      {'flag': np.array([1]), 'end': location, 'control': location}
  )[0, ..., 0]
  assert canvas[:6, :6].min() < 64 and canvas[56:, 56:].min() < 64
  assert canvas[:20, 44:].min() == 255


def test_size_and_pressure_change_how_much_ink(backend):
  settings = painting.PaintingSettings(
      brush='classic/brush', brush_sizes=(2, 4)
  )
  renderer = painting.PaintingRenderer(settings, backend=backend)

  def ink(**parts):
    last = _render(renderer, _line(200, 800, 500, **parts))[-1]
    return (255 - last.astype(int)).sum()

  assert 0 < ink(size=0, pressure=8) < ink(size=1, pressure=8)
  assert ink(size=1, pressure=1) < ink(size=1, pressure=8)


def test_color_is_red_green_blue(backend):
  settings = painting.PaintingSettings(
      color=True, brush_sizes=(8,), pressure=False
  )
  renderer = painting.PaintingRenderer(settings, backend=backend)
  parts = {'red': 19, 'green': 10, 'blue': 0}
  last = _render(renderer, _line(16 * 32 + 4, 16 * 32 + 28, 528, **parts))[-1]
  np.testing.assert_allclose(last[0, 32, 32], [255, 255 * 10 / 19, 0], atol=3)


def test_results_are_the_callers_own(backend):
  settings = painting.PaintingSettings()
  renderer = painting.PaintingRenderer(settings, backend=backend)
  blank = renderer.reset()
  spec = settings.action_spec()
  painted = renderer.step(
      {name: np.array([part.num_values - 1]) for name, part in spec.items()}
  )
  copy = painted.copy()
  painted[:] = 7
  assert (blank == 255).all()
  move = {name: np.array([0]) for name in spec}
  np.testing.assert_array_equal(renderer.step(move), copy)


def test_command_of_another_length_does_not_get_through(backend):
  settings = painting.PaintingSettings()
  renderer = painting.PaintingRenderer(settings, 3, backend=backend)
  renderer.reset()
  command = {k: np.zeros(3, int) for k in settings.action_spec()}
  for name in command:
    with pytest.raises(ValueError):
      renderer.step({**command, name: np.zeros(2, int)})


def test_order_of_calls_is_checked(backend):
  settings = painting.PaintingSettings()
  renderer = painting.PaintingRenderer(settings, backend=backend)
  command = {k: np.zeros(1, int) for k in settings.action_spec()}
  with pytest.raises(RuntimeError, match='call reset first'):
    renderer.step(command)
  renderer.reset()
  renderer.close()
  renderer.close()
  with pytest.raises(RuntimeError, match='closed'):
    renderer.step(command)
  with pytest.raises(RuntimeError, match='closed'):
    renderer.reset()


def test_renderers_are_freed(backend):
  settings = painting.PaintingSettings(canvas_size=16)
  for _ in range(20):
    painting.PaintingRenderer(settings, 2, backend=backend).reset()
  gc.collect()


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'count': 0}, 'count is 0'),
        ({'num_threads': 0}, 'num_threads is 0'),
        ({'backend': 'gpu'}, "backend is 'gpu'.*'native' or 'ctypes'"),
    ],
)
def test_bad_arguments(arguments, message):
  with pytest.raises(ValueError, match=message):
    painting.PaintingRenderer(painting.PaintingSettings(), **arguments)


def test_without_the_extension_auto_paints_through_ctypes(monkeypatch):
  settings = painting.PaintingSettings()
  expected = _render(painting.PaintingRenderer(settings), _program(settings, 2))
  monkeypatch.setattr(native, 'is_built', lambda: False)
  renderer = painting.PaintingRenderer(settings)
  np.testing.assert_array_equal(
      _render(renderer, _program(settings, 2)), expected
  )
  with pytest.raises(
      ImportError, match='not built, or does not load; .*pip install'
  ):
    painting.PaintingRenderer(settings, backend='native')


@pytest.mark.parametrize('brush', ['classic/pen', 'classic/dry_brush'])
def test_paper_of_any_color(backend, brush):
  settings = painting.PaintingSettings(
      color=True, brush=brush, background='#59a6f0'
  )
  renderer = painting.PaintingRenderer(settings, 2, backend)
  paper = np.array([0x59, 0xA6, 0xF0], np.uint8)
  assert (renderer.reset() == paper).all()
  (command,) = _program(settings, 1, count=2)
  command['flag'][:] = 1, 0
  canvas = renderer.step(command)
  assert (canvas[0] != paper).any() and (canvas[1] == paper).all()
  assert (renderer.reset() == paper).all()


def test_dabs_are_recorded_where_that_was_asked_for(backend):
  settings = painting.PaintingSettings(brush_sizes=(4,))
  renderer = painting.PaintingRenderer(settings, 1, backend, records_dabs=True)
  other = painting.PaintingRenderer(settings, 1, backend)
  commands = _program(settings, 6, count=1)
  plain = [other.reset(), *map(other.step, commands)]
  renderer.reset()
  for command, canvas, before in zip(commands, plain[1:], plain):
    dabs = renderer.step_and_record(command)
    assert dabs.dtype == np.float32 and dabs.shape[1:] == (13,)
    changed = (canvas != before).any()
    assert len(dabs) > 0 or not changed
    if len(dabs):
      np.testing.assert_allclose(dabs[:, 8], 1)  # It does not erase.
  with pytest.raises(RuntimeError, match='records_dabs=True'):
    other.step_and_record(commands[0])


def test_recorded_dabs_are_the_same_on_both_backends():
  settings = painting.PaintingSettings(brush='classic/dry_brush')
  found = []
  for backend in ('native', 'ctypes'):
    if backend == 'native' and not native.is_built():
      pytest.skip('the extension is not built')
    renderer = painting.PaintingRenderer(
        settings, 1, backend, records_dabs=True
    )
    renderer.reset()
    found.append(
        [renderer.step_and_record(c) for c in _program(settings, 5, count=1)]
    )
  for first, second in zip(*found):
    np.testing.assert_array_equal(first, second)
  assert any(len(dabs) for dabs in found[0])


def test_drawing_without_reading_draws_the_same(backend):
  settings = painting.PaintingSettings(brush='classic/dry_brush')
  renderer = painting.PaintingRenderer(settings, 2, backend)
  commands = _program(settings, 4, count=2)
  renderer.reset()
  *_, expected = map(renderer.step, commands)
  renderer.reset()
  for command in commands[:-1]:
    assert renderer.draw(command) is None
  np.testing.assert_array_equal(renderer.step(commands[-1]), expected)
  renderer.close()
  with pytest.raises(RuntimeError, match='closed'):
    renderer.draw(commands[0])
