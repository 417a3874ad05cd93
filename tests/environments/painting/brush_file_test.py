"""Brush files: what reaches libmypaint, and what is said of the rest.

Each fault here once ended the process (an assertion in C), was silently
ignored, or made libmypaint paint something else.
"""

import json
import warnings

import numpy as np
import pytest

from environments import painting
from environments.painting import brush_file
from environments.painting import dab_limits
from environments.painting import library
from environments.painting import portable

_PEN = json.loads(library.read_brush('classic/pen'))


def _changed(change=lambda settings: None, **top):
  record = json.loads(json.dumps(_PEN))
  change(record['settings'])
  return json.dumps({**record, **top}).encode()


def _curve(*points):
  """Returns a change of the pen: a curve of its opacity over the pressure."""

  def change(settings):
    settings['opaque']['inputs']['pressure'] = list(points)

  return change


def _base(value, name='opaque'):
  return lambda settings: settings[name].update(base_value=value)


def test_brushes_of_mypaint_are_taken_as_they_are():
  folder = library.find_brushes()
  for file in sorted(folder.glob('classic/*.myb')):
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      checked = json.loads(brush_file.check(file.read_bytes(), file.stem))
    assert checked['settings'] == json.loads(file.read_text())['settings']


def test_names_are_those_of_the_library():
  functions = portable._library()
  for count, names, find in (
      (64, brush_file.RANGES, functions.mypaint_brush_setting_from_cname),
      (18, brush_file.INPUTS, functions.mypaint_brush_input_from_cname),
  ):
    assert len(names) == count
    ids = [find(name.encode()) for name in names]
    assert all(0 <= index < count for index in ids)


@pytest.mark.parametrize(
    'data, words',
    [
        (b'', ['is not JSON']),
        (b'{"settings":', ['is not JSON']),
        (b'[' * 100_000, ['is not JSON']),
        (b'null', ['is None, no object']),
        (b'[]', ['is [], no object']),
        (
            b'# mypaint brush file\nversion 2\nopaque 1.0',
            ['old format', 'save'],
        ),
        (b' ' * (brush_file.MAX_BYTES + 1), ['more than 1048576 bytes']),
        (_changed(version='3'), ["version is '3', must be 3", 'save it again']),
        (_changed(version=2), ['version is 2']),
        (_changed(version=True), ['version is True']),
        (_changed(settings=None), ['settings are None']),
        (_changed(settings=[1]), ['settings are [1]']),
        (_changed(lambda s: s.pop('opaque')), ["no setting 'opaque'"]),
        (_changed(lambda s: s.update(opaque=1)), ["'opaque' is 1"]),
        (_changed(_base('1.0')), ["base_value of 'opaque' is '1.0'"]),
        (_changed(_base(None)), ["base_value of 'opaque' is None"]),
        (_changed(_base(True)), ["base_value of 'opaque' is True"]),
        (_changed(_base(float('nan'))), ["'opaque' is nan"]),
        (_changed(_base(float('inf'))), ["'opaque' is inf", '-20 to 22']),
        (_changed(_base(10**400)), ["'opaque' is 1000", '...']),
        (
            _changed(_base(1e6, 'dabs_per_actual_radius')),
            ["'dabs_per_actual_radius' is 1000000.0", '-2000 to 2200'],
        ),
        (_changed(lambda s: s['opaque'].update(inputs=3)), ['inputs of', '3']),
        (_changed(_curve([0, 1])), ["'opaque' over 'pressure' has 1 points"]),
        (_changed(_curve(*[[i, 0] for i in range(65)])), ['has 65 points']),
        (_changed(_curve([1, 1], [0, 0])), ['[0, 0] after 1', 'ascend']),
        (_changed(_curve([0, 0], [1e-30, 1])), ['[1e-30, 1] after 0']),
        (_changed(_curve([0, 0], [1])), ['has the point [1]']),
        (_changed(_curve([0, 0], 1)), ['has the point 1']),
        (_changed(_curve([0, 0], [1, '1'])), ["has the point [1, '1']"]),
        (_changed(_curve([0, 0], [1, 1e9])), ['1000000000.0', '-20 to 20']),
        (_changed(_curve([0, 0], [1e30, 1])), ['1e+30']),
        (_changed(_curve([0, 0], [float('nan'), 1])), ['nan']),
        (
            _changed(lambda s: s['opaque']['inputs'].update(pressure={})),
            ["'opaque' over 'pressure' is {}"],
        ),
    ],
)
def test_what_is_no_brush_is_refused_in_one_line(data, words):
  with pytest.raises(ValueError) as error:
    brush_file.check(data, 'mine')
  message = str(error.value)
  assert message.startswith("libmypaint does not take the brush 'mine'")
  assert '\n' not in message and len(message) < 300
  for word in words:
    assert word in message


@pytest.mark.parametrize(
    'data',
    [
        b'\xef\xbb\xbf' + _changed(),
        _changed().decode().encode('utf-16'),
        _changed(comment='x').replace(b'"x"', b'"pinc\xe9"'),
        _changed(lambda s: s['opaque'].update(inputs=None)),
        _changed(lambda s: s['opaque'].pop('inputs')),
    ],
    ids=['byte-order mark', 'utf-16', 'latin-1', 'null', 'no inputs'],
)
def test_the_same_brush_in_other_words_is_the_same(data):
  assert brush_file.check(data, 'mine') == brush_file.check(_changed(), 'pen')


def test_equal_points_are_a_step():
  data = _changed(_curve([0.5, 0], [0.5, 1]))
  checked = json.loads(brush_file.check(data, 'mine'))
  curve = checked['settings']['opaque']['inputs']['pressure']
  assert curve == [[0.5, 0], [0.5, 1]]


def test_what_libmypaint_does_not_know_is_left_out_with_a_warning():
  def change(settings):
    settings['sparkle'] = {'base_value': 1, 'inputs': {}}
    settings['hardness']['inputs'] = {
        'viewzoom2': [[0, 0], [1, 1]],
        'pressure': [[0, 0], [1, 0.5]],
    }

  with pytest.warns(UserWarning, match="'sparkle', 'viewzoom2'"):
    checked = json.loads(brush_file.check(_changed(change), 'newer'))
  assert set(checked['settings']) == set(_PEN['settings'])
  # libmypaint would forget the inputs that come after an unknown one.
  assert checked['settings']['hardness']['inputs'] == {
      'pressure': [[0, 0], [1, 0.5]]
  }


# Dabs: what only painting shows.


def _settings(tmp_path, change, **settings):
  (tmp_path / 'mine.myb').write_bytes(_changed(change))
  return painting.PaintingSettings(
      brush='mine', brushes_path=str(tmp_path), **settings
  )


def _paint(settings, backend):
  renderer = painting.PaintingRenderer(settings, backend=backend)
  renderer.reset()
  commands = {name: [0] for name in settings.action_spec()}
  commands |= {'flag': [1], 'control': [40], 'end': [900]}
  commands |= {'size': [len(settings.brush_sizes) - 1]}
  return renderer, {
      name: np.array(commands[name]) for name in settings.action_spec()
  }


def test_a_brush_without_end_is_stopped(tmp_path, backend, monkeypatch):
  monkeypatch.setattr(dab_limits, 'max_work', lambda size: 1e7)
  renderer, command = _paint(
      _settings(tmp_path, _ABSURD['long'], brush_sizes=(1, 9)), backend
  )
  with pytest.raises(ValueError, match='more dabs in one command.*lower its'):
    renderer.step(command)
  # It was stopped, so it would paint nothing; that is not passed over.
  with pytest.raises(ValueError, match='more dabs in one command'):
    renderer.step(command)
  renderer.reset()


# Curves that go far beyond their points, where the input is larger.
_ABSURD = {
    'far': lambda s: (
        _base(250.0, 'offset_by_random')(s),
        s['offset_by_random'].update(inputs={'random': [[0, 0], [1e-5, 250]]}),
    ),
    'long': lambda s: s.update(
        elliptical_dab_ratio={
            'base_value': 1,
            'inputs': {'random': [[0, 0], [1e-6, 90]]},
        }
    ),
    'large': lambda s: s.update(
        anti_aliasing={
            'base_value': 50,
            'inputs': {'pressure': [[0, 0], [1e-6, 50]]},
        }
    ),
}


@pytest.mark.parametrize('name', ['far', 'large'])
def test_absurd_dabs_are_the_same_in_both_backends(
    tmp_path, name, require_backend
):
  require_backend('native')
  settings = _settings(tmp_path, _ABSURD[name], brush_sizes=(1, 900))
  pictures = []
  for backend in ('native', 'ctypes'):
    renderer, command = _paint(settings, backend)
    pictures.append(renderer.step(command))
  np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize('shade', [7, 19])
def test_colorizing_with_gray_does_not_end_the_process(
    tmp_path, shade, backend
):
  settings = _settings(
      tmp_path,
      lambda s: s.update(colorize={'base_value': 1, 'inputs': {}}),
      color=True,
  )
  renderer, command = _paint(settings, backend)
  for name in ('red', 'green', 'blue'):
    command[name][:] = shade
  # Only hue and saturation change, and white has none.
  assert renderer.step(command).min() >= 254


@pytest.mark.parametrize('radius', [0.3, 'absurd'])
def test_brushes_that_smudge_are_the_same_in_both_backends(
    tmp_path, radius, require_backend
):
  require_backend('native')

  def change(settings):
    settings['smudge'] = {'base_value': 0.7, 'inputs': {}}
    settings['smudge_length'] = {'base_value': 0.4, 'inputs': {}}
    settings['smudge_radius_log'] = (
        {'base_value': 1.6, 'inputs': {'random': [[0, 0], [1e-6, 32]]}}
        if radius == 'absurd'
        else {'base_value': radius, 'inputs': {}}
    )

  settings = _settings(tmp_path, change, brush_sizes=(6,))
  pictures = []
  for backend in ('native', 'ctypes'):
    renderer, command = _paint(settings, backend)
    renderer.step(command)
    pictures.append(renderer.step({**command, 'end': np.array([30])}))
  np.testing.assert_array_equal(*pictures)
  # Black ink, and the white of the paper that it picks up.
  assert 0 < pictures[0].min() < 255


def test_dabs_beyond_the_edge_paint_nothing(tmp_path, backend):
  settings = _settings(
      tmp_path,
      lambda s: s.update(offset_by_random={'base_value': 4, 'inputs': {}}),
      brush_sizes=(12,),
  )
  renderer, command = _paint(settings, backend)
  command['pressure'][:] = 9
  renderer.step(command)
  assert 0.05 < (renderer.step(command) < 128).mean() < 0.95


def test_ctrl_c_ends_a_stroke(tmp_path, monkeypatch):
  renderer, command = _paint(
      _settings(tmp_path, lambda settings: None), 'ctypes'
  )

  def interrupt(*unused):
    raise KeyboardInterrupt

  monkeypatch.setattr(dab_limits, 'covered', interrupt)
  with pytest.raises(KeyboardInterrupt):
    renderer.step(command)


@pytest.mark.parametrize(
    'setting, base, inputs, is_deterministic',
    [
        ('radius_logarithmic', 1.0, {'pressure': [[0, 0], [1, 1]]}, True),
        ('radius_by_random', 0.0, {}, True),
        ('radius_by_random', 0.1, {}, False),
        ('offset_by_random', 0.0, {'pressure': [[0, 0], [1, 1]]}, False),
        ('tracking_noise', 0.1, {}, False),
        ('hardness', 0.5, {'random': [[0, 0], [1, 1]]}, False),
        ('hardness', 0.5, {'gridmap_x': [[0, 0], [1, 1]]}, False),
        ('hardness', 0.5, {'random': []}, True),
    ],
)
def test_random_numbers_are_seen(setting, base, inputs, is_deterministic):
  settings = {setting: {'base_value': base, 'inputs': inputs}}
  brush = json.dumps({'settings': settings}).encode()
  assert brush_file.is_deterministic(brush) == is_deterministic
