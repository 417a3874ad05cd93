"""Files below folders with links, and in zips of other programs."""

import os
import zipfile

import pytest

from spiral_jax.datasets import trees


def test_links_are_followed_once_and_folders_where_they_lie(tmp_path):
  root, outside = tmp_path / 'root', tmp_path / 'outside'
  for name in ('z/a.png', 'b.png', '.hidden/c.png', '__MACOSX/d.png'):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(b'')
  outside.mkdir()
  (outside / 'e.png').write_bytes(b'')
  (outside / 'back').symlink_to(root)
  (root / 'a_link').symlink_to(root / 'z')
  (root / 'loop').symlink_to(root)
  (root / 'out').symlink_to(outside)
  (root / 'file.png').symlink_to(outside / 'e.png')
  (root / 'nowhere.png').symlink_to(tmp_path / 'missing')
  os.mkfifo(root / 'pipe.png')  # To read it would take forever.
  assert sorted(trees.find(root)) == [
      'b.png',
      'file.png',
      'nowhere.png',
      'out/e.png',
      'z/a.png',
  ]
  with trees.open_tree(root) as tree:
    with pytest.raises(ValueError, match='nowhere.png cannot be read'):
      tree.read('nowhere.png')


def test_names_of_a_zip_from_windows(tmp_path):
  path = tmp_path / 'a.zip'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('set\\a\\1.png', b'one')
    archive.writestr('set/b/2.png', b'two')
    archive.writestr('__MACOSX\\set\\3.png', b'three')
  with trees.open_tree(path) as tree:
    assert tree.names == ['set/a/1.png', 'set/b/2.png']
    assert [tree.read(name) for name in tree.names] == [b'one', b'two']


def test_files_too_large_for_memory_are_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(trees, 'MOST', 10)
  (tmp_path / 'a').write_bytes(bytes(11))
  path = tmp_path / 'a.zip'
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('a', bytes(11))
  with pytest.raises(ValueError, match='11 bytes, more than 10'):
    trees.read(tmp_path / 'a')
  with trees.open_tree(path) as tree:
    with pytest.raises(ValueError, match='a in .*11 bytes, more than 10'):
      tree.read('a')


@pytest.mark.parametrize('flag', [0x800, 0x1])
def test_a_damaged_zip_is_told_in_one_line(tmp_path, flag):
  path = tmp_path / 'a.zip'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('name', b'content')
  content = bytearray(path.read_bytes().replace(b'name', b'n\xffme'))
  # The flag says that names are UTF-8, or that the file has a password.
  content[content.index(b'PK\1\2') + 8] = flag & 0xFF
  content[content.index(b'PK\1\2') + 9] = flag >> 8
  path.write_bytes(content)
  with pytest.raises(ValueError) as error:
    with trees.open_tree(path) as tree:
      tree.read(tree.names[0])
  assert type(error.value) is ValueError
  assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_a_folder_that_cannot_be_read_is_left_out(tmp_path, monkeypatch):
  for name in ('closed', 'open'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'a.png').write_bytes(b'')
  listdir = os.listdir

  def refuse(path):
    if os.path.basename(path) in refused:
      raise PermissionError(13, 'Permission denied')
    return listdir(path)

  monkeypatch.setattr(os, 'listdir', refuse)
  refused = ['closed']
  assert list(trees.find(tmp_path)) == ['open/a.png']
  refused = [tmp_path.name]
  with pytest.raises(PermissionError):
    list(trees.find(tmp_path))
