-- An instance leaves the central buckets; Central.Leave says the same in Go.
-- KEYS: 1 the store's mark and sequence, 2 the instances.
-- ARGV: instance, its mark, its sequence, lost ("1").
redis.call('ZREM', KEYS[2], ARGV[1])
local store = redis.call('HMGET', KEYS[1], 'mark', 'sequence', 'unheard')
if ARGV[4] ~= '1' and store[1] and store[3] ~= '1' and tonumber(ARGV[2]) == tonumber(store[1])
    and tonumber(ARGV[3]) <= tonumber(store[2] or '0') and redis.call('ZCARD', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'left', '1')
end
return {}
