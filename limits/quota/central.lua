-- The central buckets of package quota; central.go says the same in Go.
-- KEYS: 1 the store's mark and sequence, 2 the instances, 3... one per account.
-- ARGV: instance, its mark, its sequence, lost ("1"), life of an instance in
-- microseconds, silence, settling, then rate, burst, life in seconds, overdraft, units per account.
local t = redis.call('TIME')
local at = t[1] * 1000000 + t[2]
local store = redis.call('HMGET', KEYS[1], 'mark', 'sequence', 'last', 'left', 'unheard')
local unheard = store[5] or '0'
local mark, sequence, last = tonumber(store[1] or '0'), tonumber(store[2] or '0'), tonumber(store[3] or '0')
if mark == 0 or mark > at or tonumber(ARGV[3]) > sequence or (ARGV[4] == '1' and tonumber(ARGV[2]) == mark) or (at - last > tonumber(ARGV[6]) and store[4] ~= '1') then
  mark = at
  unheard = '0'
end
sequence = math.max(sequence, tonumber(ARGV[3])) + 1
redis.call('ZADD', KEYS[2], string.format('%.0f', at), ARGV[1])
if redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', at - tonumber(ARGV[5]))) > 0 then
  unheard = '1'
end
-- One that was heard later than now: the server's clock went back. Who is there says so again.
redis.call('ZREMRANGEBYSCORE', KEYS[2], string.format('(%.0f', at), '+inf')
redis.call('HSET', KEYS[1], 'mark', string.format('%.0f', mark), 'sequence', string.format('%.0f', sequence), 'last', string.format('%.0f', at), 'left', '0', 'unheard', unheard)
local n = redis.call('ZCARD', KEYS[2])
local out = {string.format('%.0f', mark), string.format('%.0f', sequence), n, at - mark < tonumber(ARGV[7]) and 1 or 0}
for i = 3, #KEYS do
  local a = 7 + (i - 3) * 5
  local rate, whole, life, overdraft, want = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
  local burst = math.max(1, whole - rate * life - overdraft * math.max(1, n))
  local units = math.min(burst, rate * math.max(0, at - mark - tonumber(ARGV[7])) / 1e6)
  local kept = redis.call('HMGET', KEYS[i], 'units', 'at')
  if kept[1] and kept[2] then
    units = math.min(units, tonumber(kept[1]) + rate * math.max(0, at - tonumber(kept[2])) / 1e6)
  end
  local given = units
  if n > 1 and given >= 2 then
    given = given / 2
  end
  given = math.max(0, math.min(want, math.floor(given)))
  if want < 0 then
    given = -want
  end
  local left = units - given
  redis.call('HSET', KEYS[i], 'units', string.format('%.6f', left), 'at', string.format('%.0f', at))
  -- It expires only once it is full again: then an absent account says the same.
  redis.call('PEXPIRE', KEYS[i], string.format('%.0f', math.min(86400000000, math.max(0, whole - left) / rate * 1000 + 1000)))
  out[#out + 1] = given
  out[#out + 1] = math.ceil(math.min(math.max(0, 1 - left) / rate, 3600) * 1e6)
end
return out
