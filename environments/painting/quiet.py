"""Removal of what libmypaint prints to standard output while it paints.

Where rounding makes a time in it negative, libmypaint replaces that time and
writes "Time is running backwards!" by C's `puts`, into whatever reads the
program's output. Any other way to hold the line back costs pixels (other times)
or safety (another standard output, for all threads). So the library's own
reference to `puts` is changed, once, before it paints; nobody else's is.
"""

import ctypes
import mmap
import sys

# Of elf.h: tags of the dynamic section.
_DT_NULL, _DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB = 0, 2, 5, 6
_DT_RELA, _DT_RELASZ, _DT_JMPREL = 7, 8, 23
_RTLD_DI_LINKMAP = 2  # Of dlfcn.h.
_PROTECTIONS = {'r': 1, 'w': 2, 'x': 4}  # PROT_READ and others.


class _LinkMap(ctypes.Structure):
  """The head of `struct link_map` of link.h."""

  _fields_ = [
      ('address', ctypes.c_size_t),  # Added to all addresses in the file.
      ('name', ctypes.c_char_p),
      ('dynamic', ctypes.c_size_t),
  ]


class _Rela(ctypes.Structure):
  """Elf64_Rela: a place that the linker fills with a symbol's address."""

  _fields_ = [
      ('offset', ctypes.c_uint64),
      ('info', ctypes.c_uint64),
      ('addend', ctypes.c_int64),
  ]


class _Symbol(ctypes.Structure):
  """Elf64_Sym."""

  _fields_ = [
      ('name', ctypes.c_uint32),
      ('info', ctypes.c_ubyte),
      ('other', ctypes.c_ubyte),
      ('section', ctypes.c_uint16),
      ('value', ctypes.c_uint64),
      ('size', ctypes.c_uint64),
  ]


def silence(library: ctypes.CDLL) -> bool:
  """Makes a library's calls of `puts` print nothing, until the process ends.

  Args:
    library: library that was loaded through ctypes.

  Returns:
    True if it is silent from now on. False on systems other than 64-bit Linux,
    and where memory cannot be changed: the library then prints what it prints.
  """
  if not sys.platform.startswith('linux') or ctypes.sizeof(ctypes.c_void_p) < 8:
    return False
  try:
    slots = _slots(library, b'puts')
    # It takes the same argument, returns no error, and has no other effect.
    mute = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
    return all([_write(slot, mute) for slot in slots])
  except (OSError, AttributeError):  # No dlinfo, or no /proc.
    return False


def _slots(library: ctypes.CDLL, name: bytes) -> list[int]:
  """Returns the addresses at which a library keeps that of a function."""
  linker = ctypes.CDLL(None).dlinfo
  linker.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
  found = ctypes.POINTER(_LinkMap)()
  if linker(library._handle, _RTLD_DI_LINKMAP, ctypes.byref(found)):
    raise OSError('dlinfo does not know the library')
  base = found.contents.address
  tags: dict[int, int] = {}
  address = found.contents.dynamic
  while True:
    tag, value = (ctypes.c_uint64 * 2).from_address(address)
    if tag == _DT_NULL:
      break
    tags[tag] = value
    address += 16

  def place(tag: int) -> int:
    # Most C libraries add the base to addresses in the table, some do not.
    return tags[tag] if tags[tag] >= base else tags[tag] + base

  slots = []
  for table, size in ((_DT_JMPREL, _DT_PLTRELSZ), (_DT_RELA, _DT_RELASZ)):
    if table not in tags or size not in tags:
      continue
    count = tags[size] // ctypes.sizeof(_Rela)
    for entry in (_Rela * count).from_address(place(table)):
      index = entry.info >> 32
      if not index:
        continue
      symbol = _Symbol.from_address(
          place(_DT_SYMTAB) + index * ctypes.sizeof(_Symbol)
      )
      if ctypes.string_at(place(_DT_STRTAB) + symbol.name) == name:
        slots.append(base + entry.offset)
  return slots


def _write(slot: int, value: int | None) -> bool:
  """Writes an address into a slot, which may be in read-only memory."""
  protect = ctypes.CDLL(None).mprotect
  protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
  page = slot - slot % mmap.PAGESIZE
  before = _protection(slot)
  writable = before | _PROTECTIONS['w']
  if protect(page, mmap.PAGESIZE, writable):
    return False
  # One aligned store: a thread that calls meanwhile finds either function.
  ctypes.c_void_p.from_address(slot).value = value
  protect(page, mmap.PAGESIZE, before)
  return True


def _protection(address: int) -> int:
  """Returns how memory at an address is protected, as mprotect takes it."""
  with open('/proc/self/maps', encoding='utf-8', errors='replace') as maps:
    for line in maps:
      span, letters = line.split()[:2]
      first, last = (int(end, 16) for end in span.split('-'))
      if first <= address < last:
        return sum(_PROTECTIONS.get(letter, 0) for letter in letters)
  raise OSError('the address is not mapped')
