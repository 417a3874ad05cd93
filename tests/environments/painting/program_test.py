"""Programs: JSON there and back, and the pictures that they make."""

import copy
import dataclasses
import json
import pickle

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from environments import painting
from environments.painting import reduction
from tests.environments.painting import golden

_SETTINGS = st.builds(
    painting.PaintingSettings,
    canvas_size=st.integers(1, 8192),
    grid_size=st.integers(1, 100),
    brush=st.text(max_size=20),
    brush_sizes=st.lists(
        st.floats(1e-3, 1e3) | st.integers(1, 1000), min_size=1, max_size=4
    ),
    color=st.booleans(),
    pressure=st.booleans(),
    episode_length=st.integers(1, 1000),
    background=st.sampled_from(['white', 'transparent']),
    brushes_path=st.none() | st.text(max_size=20),
)


@st.composite
def _programs(draw):
  settings = draw(_SETTINGS)
  count = draw(st.integers(1, 6))
  return painting.Program(
      settings,
      {
          name: draw(
              st.lists(
                  st.integers(0, part.num_values - 1),
                  min_size=count,
                  max_size=count,
              )
          )
          for name, part in settings.action_spec().items()
      },
  )


def _some(**settings):
  """Returns a program of three commands, the second a move."""
  settings = painting.PaintingSettings(**settings)
  rng = np.random.default_rng(0)
  commands = {
      name: rng.integers(0, part.num_values, 3)
      for name, part in settings.action_spec().items()
  }
  return painting.Program(settings, {**commands, 'flag': [1, 0, 1]})


# JSON.


@given(_programs())
def test_json_there_and_back_is_identical(program):
  text = program.to_json()
  again = painting.Program.from_json(text)
  assert again == program and hash(again) == hash(program)
  assert again.to_json() == text
  for name, part in program.commands.items():
    assert again.commands[name].dtype == part.dtype == np.int32
    np.testing.assert_array_equal(again.commands[name], part)
  assert list(again.commands) == list(program.settings.action_spec())


def test_json_is_what_it_says_and_has_a_line_a_command():
  program = _some(brush_sizes=(2,), pressure=False)
  record = json.loads(program.to_json())
  assert record['format'] == 'spiral_jax painting program'
  assert record['version'] == 3
  assert record['settings'] == {
      **dataclasses.asdict(program.settings),
      'brush_sizes': [2],
  }
  assert [command['flag'] for command in record['commands']] == [1, 0, 1]
  lines = [line for line in program.to_json().splitlines() if '"flag"' in line]
  assert len(lines) == 3


def _changed(change):
  record = json.loads(_some().to_json())
  change(record)
  return json.dumps(record)


def test_json_of_version_1_is_read():
  for color in (False, True):
    program = _some(color=color)
    record = json.loads(program.to_json())
    settings = record['settings']
    settings['colour'] = settings.pop('color')
    text = json.dumps({**record, 'version': 1})
    assert painting.Program.from_json(text) == program
    with pytest.raises(ValueError, match='colour'):  # Not a name of version 2.
      painting.Program.from_json(json.dumps(record))


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda r: r.pop('format'), ['format', 'to_json']),
        (lambda r: r.update(version=4), ['version', '4', '1 to 3', 'update']),
        (lambda r: r.update(version=True), ['version', 'True']),
        (lambda r: r.update(more=1), ["entry 'more'", 'settings, commands']),
        (lambda r: r.pop('commands'), ["lacks 'commands'"]),
        (lambda r: r.update(commands=[]), ['commands is []', 'one command']),
        (lambda r: r.update(commands={}), ['commands is {}']),
        (lambda r: r.update(settings=[]), ['settings is []', 'canvas_size']),
        (lambda r: r['settings'].update(x=1), ['settings has', "'x'"]),
        (lambda r: r['settings'].pop('brush'), ["settings lacks 'brush'"]),
        (lambda r: r['settings'].update(color=1), ['color is 1', 'bool']),
        (lambda r: r['settings'].update(canvas_size=True), ['True', 'int']),
        (lambda r: r['settings'].update(canvas_size=0), ['is 0', '1 to 8192']),
        (lambda r: r['settings'].update(brush=None), ['brush is None', 'str']),
        (lambda r: r['settings'].update(brushes_path=3), ['is 3', 'str or No']),
        (lambda r: r['settings'].update(brush_sizes='1'), ["'1'", 'numbers']),
        (lambda r: r['settings'].update(brush_sizes=[True]), ['[True]']),
        (lambda r: r['settings'].update(brush_sizes=[-1]), ['-1', 'above 0']),
        (lambda r: r['settings'].update(background='red'), ["'red'"]),
        (lambda r: r['commands'].insert(1, 7), ['command 1 is 7', 'flag, end']),
        (lambda r: r['commands'][2].pop('end'), ["command 2 lacks 'end'"]),
        (lambda r: r['commands'][2].update(red=1), ['command 2', "'red'"]),
        (
            lambda r: r['commands'][0].update(end=1024),
            ['command 0', '1024', "'end'", '0 to 1023'],
        ),
        (lambda r: r['commands'][0].update(end=-1), ['-1', '0 to 1023']),
        (lambda r: r['commands'][0].update(end=1.0), ['1.0', 'int']),
        (lambda r: r['commands'][0].update(flag=True), ['True', '0 to 1']),
        (lambda r: r['commands'][0].update(end=10**40), ['0 to 1023']),
        (lambda r: r['commands'][0].update(end='x' * 999), ["'xxx", '...']),
    ],
)
def test_what_is_wrong_with_a_json_is_said_in_one_line(change, words):
  with pytest.raises(ValueError) as error:
    painting.Program.from_json(_changed(change))
  message = str(error.value)
  assert '\n' not in message and len(message) < 300
  for word in words:
    assert word in message


@pytest.mark.parametrize(
    'text',
    [
        '',
        '{',
        '[]',
        '3',
        'null',
        '{}',
        '[' * 100_000,
        '\x00',
        '{"format": ' + '9' * 9999 + '}',
    ],
)
def test_what_is_no_program_is_said_in_one_line(text):
  with pytest.raises(ValueError, match='to_json') as error:
    painting.Program.from_json(text)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('depth', [10, 300, 900])
@pytest.mark.parametrize('name', ['version', 'settings', 'commands', 'flag'])
def test_what_is_deep_is_said_in_one_line(name, depth):
  record = json.loads(_some().to_json())
  place = record['commands'][1] if name == 'flag' else record
  place[name] = 'DEEP'
  text = json.dumps(record).replace('"DEEP"', '[' * depth + ']' * depth)
  with pytest.raises(ValueError) as error:
    painting.Program.from_json(text)
  message = str(error.value)
  assert '\n' not in message and len(message) < 300


def test_frames_of_more_than_memory_are_refused():
  program = painting.Program(
      painting.PaintingSettings(
          canvas_size=8192, color=True, pressure=False, brush_sizes=(2,)
      ),
      {
          name: [0] * 336
          for name in ('flag', 'end', 'control', 'red', 'green', 'blue')
      },
  )
  for make in (program.frames, program.to_gif, program.to_mp4):
    with pytest.raises(ValueError) as error:
      make()
    assert '8192 x 8192 pixels need' in str(error.value)
  with pytest.raises(ValueError, match='8192 x 8192 pixels is too large'):
    program.to_html()
    assert 'give a smaller size' in str(error.value)


# The value.


def test_programs_are_frozen_values():
  program = _some()
  commands = {name: part.copy() for name, part in program.commands.items()}
  same = painting.Program(program.settings, commands)
  commands['end'][:] = 0  # A copy was taken.
  assert same == program and len({same, program}) == 1
  assert len(program) == 3
  assert program != _some(canvas_size=32)
  other = {**program.commands, 'end': program.commands['end'] ^ 1}
  assert program != painting.Program(program.settings, other)
  assert program != 'a program'
  with pytest.raises(dataclasses.FrozenInstanceError):
    program.settings = None
  with pytest.raises(ValueError):
    program.commands['end'][0] = 1
  with pytest.raises(TypeError):
    program.commands['end'] = 1
  assert copy.copy(program) == pickle.loads(pickle.dumps(program)) == program


@pytest.mark.parametrize(
    'change, words',
    [
        ({'flag': []}, ["'flag'", '(0,)', '[T]']),
        ({'flag': 1}, ["'flag'", '()', '[T]']),
        ({'flag': [[1, 0, 1]]}, ["'flag'", '(1, 3)']),
        ({'end': [0, 0]}, ["'end'", '(2,)', '(3,)']),
        ({'end': [0, 0, 5000]}, ["'end'", '5000', '0 to 1023']),
        ({'red': [0, 0, 0]}, ["'red'"]),
    ],
)
def test_commands_are_checked(change, words):
  program = _some()
  with pytest.raises(ValueError) as error:
    painting.Program(program.settings, {**program.commands, **change})
  for word in words:
    assert word in str(error.value)


def test_a_missing_part_is_named():
  program = _some()
  for name in program.commands:
    commands = {k: v for k, v in program.commands.items() if k != name}
    with pytest.raises(ValueError, match=f"lacks part '{name}'"):
      painting.Program(program.settings, commands)


# Pictures.


def test_frames_are_the_recorded_canvases():
  for program, canvases in golden.programs():
    np.testing.assert_array_equal(program.frames(), canvases)
  np.testing.assert_array_equal(program.render(), canvases[-1])


@pytest.mark.parametrize('size', [7, 32, 63])
def test_smaller_pictures_are_means_of_the_canvas(size):
  program, canvases = next(golden.programs('classic/pen'))
  small = program.render(size)
  assert small.shape == (size, size, 3) and small.dtype == np.uint8
  large = np.repeat(np.repeat(canvases[-1], size, 0), size, 1).astype(float)
  means = large.reshape(size, 64, size, 64, 3).mean((1, 3))
  np.testing.assert_allclose(small, means, atol=0.51)


def test_larger_pictures_are_the_same_in_more_detail():
  program, canvases = next(golden.programs('classic/dry_brush'))
  frames = program.frames(128)
  assert frames.shape == (21, 128, 128, 3)
  assert (frames[0] == 255).all()
  for frame, canvas in zip(frames[10::5], canvases[10::5]):
    assert golden.correlation(frame, canvas) > 0.99
  blocks = canvases[-1].repeat(2, 0).repeat(2, 1)
  assert not np.array_equal(frames[-1], blocks)


def test_another_brush_paints_the_same_commands():
  program, canvases = next(golden.programs('classic/pen'))
  other = program.render(brush='classic/dry_brush')
  assert not np.array_equal(other, canvases[-1])
  settings = dataclasses.replace(program.settings, brush='classic/dry_brush')
  np.testing.assert_array_equal(
      other, painting.Program(settings, program.commands).render()
  )
  with pytest.raises(ValueError, match='classic/pn.*classic/pen'):
    program.render(brush='classic/pn')


@pytest.mark.parametrize('size', [0, -1, 8193, 64.0, True, '64'])
def test_size_out_of_range(size):
  with pytest.raises(ValueError) as error:
    _some().render(size)
  assert f'size is {size!r}' in str(error.value)
  assert '1 to 8192' in str(error.value)


# The trace.


def _line(y, flag=1, start=2, end=29):
  """Returns commands that go to the line's start and along it."""
  return [(0, 32 * y + start), (flag, 32 * y + end)]


def _rows(*lines, **settings):
  flags, ends = zip(*sum(lines, []))
  # Along the line, so that it is straight.
  return painting.Program(
      painting.PaintingSettings(brush_sizes=(1,), pressure=False, **settings),
      {'flag': flags, 'end': ends, 'control': ends},
  )


@pytest.mark.parametrize('background', ['white', 'transparent'])
@pytest.mark.parametrize('size', [64, 256])
def test_strokes_of_a_trace_differ_and_come_in_order_of_the_map(
    size, background
):
  program = _rows(_line(8), _line(16), _line(24), background=background)
  picture = program.trace(size).astype(int)
  assert picture.shape == (size, size, 3)
  colors = [picture[size * row // 32, size // 2] for row in (8, 16, 24)]
  # Plasma goes from blue to orange: red grows and blue falls.
  assert colors[0][0] < colors[1][0] - 30 < colors[2][0] - 60
  assert colors[0][2] > colors[2][2] + 60
  assert (picture[size // 32, size // 2] == 255).all()


def test_moves_of_a_trace_are_faint_lines():
  program = _rows(_line(8), _line(24, start=29, end=29))
  picture = program.trace(256).astype(int)
  # From (29, 8) straight down to (29, 24): gray dashes on white.
  column = picture[8 * 12 : 8 * 20, 29 * 8 - 2 : 29 * 8 + 2]
  assert column.max() == 255 and 120 < column.min() < 200
  assert (column[..., 0] == column[..., 2]).all()
  shades = column.min((1, 2))
  assert np.abs(np.diff(shades)).max() > 40  # It is dashed.
  assert (picture[8 * 12 : 8 * 20, 8 * 20 : 8 * 27] == 255).all()


def test_a_trace_of_moves_alone_or_of_one_stroke():
  alone = _rows(_line(8, flag=0)).trace(64)
  assert alone.min() < 255
  one = _rows(_line(8)).trace(64).astype(int)
  assert one[16, 32, 2] > one[16, 32, 0] + 50  # The first color: blue.


def test_reducing_keeps_constants():
  image = np.full((50, 50, 1), 137, np.uint8)
  np.testing.assert_array_equal(reduction.reduce(image, 49), 137)


# Pictures that are not square.


@pytest.mark.parametrize(
    'aspect, shape', [(2.0, (32, 64)), (0.75, (64, 48)), (1.0, (64, 64))]
)
def test_a_picture_is_the_top_left_of_the_canvas(aspect, shape):
  program = _some(color=True)
  wide = painting.Program(program.settings, program.commands, aspect)
  assert wide.shape() == shape and wide.shape(128) == (
      2 * shape[0],
      2 * shape[1],
  )
  whole = program.frames(96)
  height, width = wide.shape(96)
  np.testing.assert_array_equal(wide.frames(96), whole[:, :height, :width])
  assert wide.render(40).shape == (*wide.shape(40), 3)
  assert wide.trace(96).shape == (height, width, 3)
  assert (wide == program) == (aspect == 1)
  again = painting.Program.from_json(wide.to_json())
  assert again == wide and again.aspect == aspect
  assert pickle.loads(pickle.dumps(wide)) == wide


@pytest.mark.parametrize('aspect', [0, -1, 101, float('nan'), '2', True])
def test_aspects_out_of_range(aspect):
  program = _some()
  with pytest.raises(ValueError, match='aspect is .*width divided by height'):
    painting.Program(program.settings, program.commands, aspect)


def test_few_frames_of_many_commands():
  settings = painting.PaintingSettings(brush_sizes=(2,))
  rng = np.random.default_rng(0)
  program = painting.Program(
      settings,
      {
          name: rng.integers(part.num_values, size=50)
          for name, part in settings.action_spec().items()
      },
  )
  every = program.frames()
  some = program.frames(most=6)
  np.testing.assert_array_equal(some, every[[0, 10, 20, 30, 40, 50]])
  assert len(program.frames(most=100)) == 51
