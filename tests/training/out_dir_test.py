"""Folders to write to are checked before anything is computed."""

import os
import pathlib

import pytest

from spiral_jax.training import out_dir as out_dir_lib

_NAMES = [
    'a',
    'A',
    'result.png',
    '.',
    '..',
    '',
    'é',
    'e\u0301',  # The same on file systems that normalize names.
    'x' * 251,
    'x' * 252,
    'ü' * 200,
    '[red]',
    '\udcff',
    'a\nb',
    'a_2',
]


def test_names_become_folders_of_their_own(tmp_path):
  folders = out_dir_lib.folder_names(_NAMES, taken=['result.png'])
  (tmp_path / 'result.png').touch()
  for folder in folders:
    assert '/' not in folder and len(os.fsencode(folder)) < 255
    (tmp_path / folder).mkdir()  # Raises if it is there.
    out_dir_lib.prepare(tmp_path / folder)
    assert (tmp_path / folder).resolve().parent == tmp_path.resolve()
  assert len({out_dir_lib._key(folder) for folder in folders}) == len(_NAMES)
  # What can be kept is kept.
  assert [folders[i] for i in (0, 6, 11, 12, 13)] == [
      'a',
      'é',
      '[red]',
      '\udcff',
      'a\nb',
  ]  # pyformat: disable


def test_a_folder_must_be_new(tmp_path):
  out_dir_lib.check_new(tmp_path / 'none')
  (tmp_path / 'empty').mkdir()
  (tmp_path / '.git').mkdir()
  (tmp_path / '.git' / 'config').touch()
  (tmp_path / '.DS_Store').touch()
  out_dir_lib.check_new(tmp_path)
  (tmp_path / 'empty' / 'picture_64.png').touch()
  with pytest.raises(ValueError) as error:
    out_dir_lib.check_new(tmp_path)
  assert 'as empty/picture_64.png; name a new folder' in str(error.value)
  with pytest.raises(ValueError, match='picture_64.png is a file'):
    out_dir_lib.check_new(tmp_path / 'empty' / 'picture_64.png')


@pytest.mark.parametrize(
    'inner, reason',
    [
        ('file', 'File exists'),
        ('file/deeper', 'Not a directory'),
        ('x' * 256, 'File name too long'),
        ('a\0b', 'null'),
        ('/proc/none', ''),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_told_in_one_line(
    tmp_path, inner, reason
):
  (tmp_path / 'file').touch()
  with pytest.raises(ValueError, match='cannot be written to') as error:
    out_dir_lib.prepare(tmp_path / inner)
  assert reason in str(error.value) and '\n' not in str(error.value)
  assert 'name another one' in str(error.value)


def test_a_folder_that_can_be_written_to_is_left_as_it_is(tmp_path):
  folder = tmp_path / 'a' / 'b'
  out_dir_lib.prepare(folder)
  out_dir_lib.prepare(folder)
  assert not list(folder.iterdir())


def test_names_in_messages_are_text():
  assert out_dir_lib.printable('a\udcff\x1b[31m\nb é') == 'a??[31m?b é'
  assert out_dir_lib.printable(pathlib.Path('x')) == 'x'
