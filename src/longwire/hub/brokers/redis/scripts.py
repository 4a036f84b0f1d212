"""What Redis does in one step, in its own language: each of these runs while nothing else does.

Times are milliseconds of Redis' own clock, so that the nodes' need not agree. A script that fails
half-way is not undone: each writes first what can fail, and publishes last.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name that EVALSHA knows it by."""

    source: str
    sha: str


def _script(*parts: str) -> Script:
    source = "".join(parts)
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


_NOW = """
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

_ROOM = """
-- Return where the room stands. One that is not known, or whose hash makes no sense, begins an
-- epoch of its own: then what is left of a history is of no use.
local function position(meta, history, fresh)
  local known = redis.call('HMGET', meta, 'epoch', 'offset')
  local epoch, offset = known[1], tonumber(known[2] or '')
  if epoch and #epoch <= 64 and epoch:match('^%w+$')
      and offset and offset >= 0 and offset < 2^52 and offset % 1 == 0 then
    return epoch, offset
  end
  redis.call('DEL', meta, history)
  redis.call('HSET', meta, 'epoch', fresh, 'offset', 0)
  return fresh, 0
end

-- Forget what is outside of the window; an entry that makes no sense counts as old.
local function trim(history, size, oldest)
  if size == 0 then
    redis.call('DEL', history)
    return
  end
  if redis.call('LLEN', history) > size then
    redis.call('LTRIM', history, -size, -1)
  end
  while true do
    local first = redis.call('LINDEX', history, 0)
    local written = first and tonumber(first:match('^%d+:%w+ (%d+) ') or 0)
    if not written or written > oldest then
      return
    end
    redis.call('LPOP', history)
  end
end
"""

PUBLISH = _script(
    _NOW,
    _ROOM,
    """
-- Return the offset of the message with that id, which was sent at the time `since` or later.
-- false: it is not there and never was. nil: it may have been there.
local function find(history, id, since, size)
  local last = -1
  while true do
    local entries = redis.call('LRANGE', history, last - 99, last)
    for i = #entries, 1, -1 do
      local offset, written, name = entries[i]:match('^(%d+):%w+ (%d+) (%w+)\\n')
      if name == id then
        return tonumber(offset)
      end
      if written and tonumber(written) < since then
        return false
      end
    end
    if #entries < 100 then
      break
    end
    last = last - 100
  end
  -- All that is kept is younger. Entries are dropped only where the window is full.
  if redis.call('LLEN', history) < size then
    return false
  end
  return nil
end

local meta, history, channel = KEYS[1], KEYS[2], KEYS[3]
local envelope, id, fresh = ARGV[1], ARGV[2], ARGV[3]
local size, window, kept, doubt = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local time = now()
local epoch, offset = position(meta, history, fresh)
if doubt > 0 then
  local found = doubt < window and find(history, id, time - doubt, size)
  if found then
    return {epoch, found}
  elseif found == nil or doubt >= window then
    return redis.error_reply('DOUBT the window is too small to tell whether it was published')
  end
end
offset = offset + 1
local entry = string.format('%.0f:%s %.0f %s\\n', offset, epoch, time, id) .. envelope
redis.call('RPUSH', history, entry)
redis.call('HSET', meta, 'offset', string.format('%.0f', offset))
trim(history, size, time - window)
redis.call('PEXPIRE', history, ARGV[5])
redis.call('PEXPIRE', meta, kept)
redis.call('PUBLISH', channel, entry)
return {epoch, offset}
""",
)
"""Publish and keep. KEYS: meta, history, channel. ARGV: envelope, the message's id, an epoch to
begin with, the window's size and milliseconds, those of the meta, and those since the attempt whose
answer was lost, 0 if there was none. Returns epoch and offset."""

STAND = _script(
    _ROOM,
    """
local epoch, offset = position(KEYS[1], KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {epoch, offset}
""",
)
"""Return epoch and offset. KEYS: meta, history. ARGV: an epoch to begin with, the meta's time."""

HISTORY = _script(
    _NOW,
    _ROOM,
    """
local meta, history = KEYS[1], KEYS[2]
local epoch, offset = position(meta, history, ARGV[1])
redis.call('PEXPIRE', meta, ARGV[2])
trim(history, tonumber(ARGV[3]), now() - tonumber(ARGV[4]))
local length = redis.call('LLEN', history)
local since, limit = tonumber(ARGV[5]), tonumber(ARGV[7])
if limit < 0 then
  limit = length
end
local oldest = offset - length
local first, is_whole = 0, 1
if since < 0 then
  first = math.max(0, length - limit)
elseif ARGV[6] ~= epoch or since > offset then
  is_whole = 0
else
  first = math.max(0, since - oldest)
  is_whole = since >= oldest and 1 or 0
end
local entries = {}
if limit > 0 then
  entries = redis.call('LRANGE', history, first, first + limit - 1)
end
return {epoch, offset, is_whole, oldest + first + 1, entries}
""",
)
"""Read. KEYS: meta, history. ARGV: an epoch to begin with, the meta's time, the window's size and
milliseconds, the offset and the epoch to read from (-1 for none), the limit (-1 for none). Returns
epoch, offset, 1 if nothing is missing, the offset that the first entry should have, the entries."""

_NODES = """
local DEAD, NEW, ALIVE = -1, 0, 1

-- Return whether the node has beaten lately.
local function lives(nodes, node, time)
  return tonumber(redis.call('ZSCORE', nodes, node) or 0) > time
end

-- Note that the node lives. Return whether it was known to. One that is known to be dead stays so
-- until its clients are taken out: whoever asked meanwhile has not seen them, and is to hear of it
-- when they are back.
local function touch(nodes, node, time, life)
  local until_then = redis.call('ZSCORE', nodes, node)
  if until_then and tonumber(until_then) <= time then
    redis.call('ZADD', nodes, 0, node)
    return DEAD
  end
  redis.call('ZADD', nodes, string.format('%.0f', time + life), node)
  return until_then and ALIVE or NEW
end
"""

BEAT = _script(
    _NOW,
    _NODES,
    """
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'zset' and kind ~= 'none' then
  redis.call('DEL', KEYS[1])  -- a stranger's; without this table nobody would be missed
end
local time = now()
local life = touch(KEYS[1], ARGV[1], time, tonumber(ARGV[2]))
return {life, redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', time, 'LIMIT', 0, 10)}
""",
)
"""The heartbeat. KEYS: nodes. ARGV: the node, for how long it lives. Returns -1 if it is
dead, 0 if it was not known, else 1; and the nodes that are dead."""

ENTER = _script(
    _NOW,
    _NODES,
    """
local present, nodes, index, channel = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local node, client, member = ARGV[1], ARGV[2], ARGV[3]
local known = redis.call('HGET', present, client)
local owner = known and known:match('^([^\\n]*)\\n')
local time = now()
local life = touch(nodes, node, time, tonumber(ARGV[4]))
if type(redis.pcall('SADD', index, member)) == 'table' then
  redis.call('DEL', index)  -- a stranger's
  redis.call('SADD', index, member)
end
redis.call('HSET', present, client, node .. '\\n' .. ARGV[6])
if owner and owner ~= node then
  redis.pcall('SREM', ARGV[7] .. owner, member)
  if not lives(nodes, owner, time) then
    redis.call('PUBLISH', channel, '\\n' .. ARGV[6])  -- it was still to be taken out
    owner = nil
  end
end
if not owner then
  redis.call('PUBLISH', channel, ARGV[5])
end
return life
""",
)
"""Enter a client. KEYS: present, nodes, the node's index, channel. ARGV: the node, the client's id,
its member of the index, the node's life, the Join as a message, the Leave as an envelope, what the
keys of indexes begin with. Returns -1 if the node is dead, 0 if it was not known, else 1."""

EXIT = _script(
    """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then
  return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
local owner = known:match('^([^\\n]*)\\n')
if owner then
  redis.pcall('SREM', ARGV[4] .. owner, ARGV[2])
  redis.call('PUBLISH', KEYS[2], ARGV[3])
end
return 1
"""
)
"""Take a client out. KEYS: present, channel. ARGV: its id, its member of the index, the Leave as a
message, what the keys of indexes begin with."""

PRESENT = _script(
    _NOW,
    _NODES,
    """
local time, alive, envelopes = now(), {}, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 2, #all, 2 do
  local owner, envelope = all[i]:match('^([^\\n]*)\\n(.*)$')
  if owner then
    if alive[owner] == nil then
      alive[owner] = lives(KEYS[2], owner, time)
    end
    if alive[owner] then
      envelopes[#envelopes + 1] = envelope
    end
  end
end
return envelopes
""",
)
"""Return a Leave, as an envelope, for each client of a node that lives. KEYS: present, nodes."""

BURY = _script(
    _NOW,
    """
local nodes, index, node, batch = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[3])
local until_then = redis.call('ZSCORE', nodes, node)
if ARGV[2] == '0' and (not until_then or tonumber(until_then) > now()) then
  return 0  -- another node was here first, or it lives
end
redis.call('ZADD', nodes, 0, node)
local members = redis.pcall('SPOP', index, batch)
if members.err then
  redis.call('DEL', index)
  members = {}
end
for _, member in ipairs(members) do
  local room, client = member:match('^([^\\n]*)\\n(.*)$')
  local known = room and redis.pcall('HGET', ARGV[4] .. room, client)
  if type(known) == 'string' then
    local owner, leave = known:match('^([^\\n]*)\\n(.*)$')
    if owner == node then
      redis.call('HDEL', ARGV[4] .. room, client)
      redis.call('PUBLISH', ARGV[5] .. room, '\\n' .. leave)
    end
  end
end
if #members < batch then
  redis.call('ZREM', nodes, node)
  return 0
end
return 1
""",
)
"""Take out some clients of a dead node; each is taken once, whoever asks. KEYS: nodes, its index.
ARGV: the node, 1 if it says so itself, how many, what the keys of tables and the channels begin
with. Returns 1 if there are more."""

ALL = (PUBLISH, STAND, HISTORY, BEAT, ENTER, EXIT, PRESENT, BURY)
