"""The disks that a power cut may leave, from a recorded journal.

A change of a name is durable once its folder is synced, a file's bytes and mode once the file is. A move between two
folders is atomic, and durable once its destination folder is synced. Any changes that are not durable at some moment
may be lost. These disks are tested: none lost, all lost, each one lost, all but each one lost, and those where a file
has its length but zeros instead of its unsynced bytes. Deletions in the trash are lost or kept together; of more than
2 * ALONE changes only the oldest and the newest are lost alone; among deletions in the trash, only every EVERY-th
moment is tested.
"""

import hashlib
import os

ALONE = 8
EVERY = 4


def durable(entry, synced):
    """Whether a sync of a node makes an entry of the journal durable."""
    what = entry[0]
    if what == "name":
        return entry[1] is synced
    if what == "move":
        return entry[3] is synced
    return what in ("write", "truncate", "mode") and entry[1] is synced


def pending(journal):
    """For each moment, 0 to the journal's length: the entries' numbers that are not durable then."""
    open_, doomed, moments = [], [], [()]
    for number, entry in enumerate(journal):
        if entry[0] == "sync":
            open_ = [one for one in open_ if one in doomed or not durable(journal[one], entry[1])]
        elif entry[0] == "forget":
            doomed += [one for one in open_ if durable(journal[one], entry[1])]
        elif entry[0] != "mark":
            open_.append(number)
        moments.append(tuple(open_))
    return moments


def in_trash(entry):
    """Whether an entry of the journal is one of the many deletions of what nothing leads to any more."""
    return entry[0] == "name" and entry[4]


def losses(open_, journal, brief):
    """The sets of lost entries to look at, each with whether unsynced bytes are zeros instead: [(set, zeros)]."""
    every = frozenset(open_)
    found = {(frozenset(), False): None, (every, False): None}
    if brief:
        return list(found)
    trash = frozenset(one for one in open_ if in_trash(journal[one]))
    found[trash, False] = found[every - trash, False] = None
    single = [one for one in open_ if one not in trash]
    if len(single) > 2 * ALONE:
        single = single[:ALONE] + single[-ALONE:]
    for one in single:
        found[frozenset([one]), False] = None
        found[every - {one}, False] = None
    data = frozenset(one for one in open_ if journal[one][0] == "write")
    if data:
        found[data, True] = None
    return list(found)


class Image:
    """A disk after the first `moment` entries, without those that were lost.

    Attributes:
        tree: {path: ("file", bytes, mode) | ("link", destination) | ("folder",)}.
        marks: the words that were marked until then.
    """

    def __init__(self, first, journal, moment, lost=frozenset(), zeros=False):
        self.moment, self.lost, self.zeros = moment, sorted(lost), zeros
        self.marks = {entry[1] for entry in journal[:moment] if entry[0] == "mark"}
        self._content = {}
        for number, entry in enumerate(journal[:moment]):
            if number not in lost or (zeros and entry[0] == "write"):
                self._apply(entry, zeros and number in lost)
        self.tree = {}
        self._walk(first, "")

    def _of(self, node):
        """[content, mode] of a node in this image."""
        if node not in self._content:
            content = dict(node.content) if node.kind == "folder" else node.content
            if node.kind == "file":
                content = bytearray(content)
            self._content[node] = [content, node.mode]
        return self._content[node]

    def _apply(self, entry, zero):
        what, node = entry[0], entry[1]
        if what == "name":
            self._set(node, entry[2], entry[3])
        elif what == "move":
            self._set(node, entry[2], None)
            self._set(entry[3], entry[4], entry[5])
        elif what == "truncate":
            del self._of(node)[0][:]
        elif what == "mode":
            self._of(node)[1] = entry[2]
        elif what == "write":
            data, content = entry[3], self._of(node)[0]
            content.extend(bytes(max(0, entry[2] - len(content))))
            content[entry[2] : entry[2] + len(data)] = bytes(len(data)) if zero else data

    def _set(self, folder, name, node):
        names = self._of(folder)[0]
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node

    def _walk(self, node, path):
        content, mode = self._of(node)
        if node.kind == "folder":
            self.tree[path] = ("folder",)
            for name in sorted(content):
                self._walk(content[name], path + "/" + name)
        elif node.kind == "link":
            self.tree[path] = ("link", content)
        else:
            self.tree[path] = ("file", bytes(content), mode)

    def key(self):
        """The same for the same disk and the same promises."""
        digest = hashlib.sha256(repr(sorted(self.marks)).encode())
        for path, row in self.tree.items():
            digest.update(repr((path, row)).encode())
        return digest.digest()

    def write(self, folder):
        """Make it a real folder."""
        for path, row in self.tree.items():
            if row[0] == "folder":
                os.mkdir(folder + path, 0o700)
            elif row[0] == "link":
                os.symlink(row[1], folder + path)
            else:
                descriptor = os.open(folder + path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, row[2])
                os.write(descriptor, row[1])
                os.close(descriptor)


def images(first, journal, brief=False):
    """All images of a journal, each different one once; `brief`: all or nothing is lost."""
    seen = set()
    for moment, open_ in enumerate(pending(journal)):
        deleting = moment > 0 and in_trash(journal[moment - 1])
        if deleting and moment % EVERY:
            continue
        for lost, zeros in losses(open_, journal, brief or deleting):
            image = Image(first, journal, moment, lost, zeros)
            key = image.key()
            if key not in seen:
                seen.add(key)
                yield image
