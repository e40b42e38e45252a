-- Requests for wrk. Arguments: `single PATH PORT SOURCE DESTINATION ...` sends single messages to
-- PATH between those pairs; without arguments it gets the URL as wrk itself does.
-- The token comes from the environment, where other users do not see it. Prints one JSON line.

local kind, path, port, pairs, number = nil, nil, nil, {}, 0
local filling = ("x"):rep(88) -- 100 bytes with the number
local format = '{"source":"%s","destination":"%s","payload":"%s%012d","port":%s}'
local headers = {
  ["content-type"] = "application/json",
  ["authorization"] = "Bearer " .. (os.getenv("GATEWAY_TOKEN") or ""),
}

function init(arguments)
  kind, path, port = arguments[1], arguments[2], arguments[3]
  for at = 4, #arguments - 1, 2 do
    pairs[#pairs + 1] = { arguments[at], arguments[at + 1] }
  end
end

function request()
  if kind ~= "single" then
    return wrk.format()
  end
  number = number + 1
  local pair = pairs[number % #pairs + 1]
  return wrk.format("POST", path, headers, format:format(pair[1], pair[2], filling, number, port))
end

function done(summary, latency, _requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"duration_us":%d,"p95_us":%d,"status":%d,"socket":%d}\n',
    summary.requests, summary.duration, latency:percentile(95), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout
  ))
end
