-- Clients for wrk: each asks, waits for the answer, rests a while, asks again.
-- KIND is read or invoke; TOKEN, ENDPOINT, JOB and PAUSE_MS say the rest.

local headers = {
  ["Authorization"] = "Bearer " .. os.getenv("TOKEN"),
  ["Content-Type"] = "application/json",
}
local endpoint, job = os.getenv("ENDPOINT"), os.getenv("JOB")
local pause_ms = tonumber(os.getenv("PAUSE_MS"))
local workspace = "/workspaces/" .. os.getenv("WORKSPACE")
local body = string.format(
  '{"properties": {"InputData": {"x": {"JobInputType": "UriFolder", "Uri": "%s"}}}}',
  "azureml://datastores/workspaceblobstore/paths/inputs"
)

-- What pages and scripts ask for: mostly how a job goes.
local paths = {
  "/batchEndpoints/" .. endpoint .. "/jobs/" .. job,
  "/batchEndpoints/" .. endpoint .. "/jobs/" .. job,
  "/batchEndpoints/" .. endpoint .. "/jobs/" .. job,
  "/api/v1/jobs/" .. job,
  "/api/v1/jobs/" .. job .. "/queue",
  "/api/v1/jobs?$top=20",
  workspace .. "/batchEndpoints",
  workspace .. "/batchEndpoints/" .. endpoint,
  workspace .. "/batchEndpoints/" .. endpoint .. "/deployments",
  workspace .. "/models",
}

local seed = 0

function setup(thread)
  thread:set("seed", seed)
  seed = seed + 1
end

function init(args)
  math.randomseed(tonumber(os.getenv("SEED")) + seed)
end

function request()
  if os.getenv("KIND") == "invoke" then
    return wrk.format("POST", "/batchEndpoints/" .. endpoint .. "/jobs", headers, body)
  end
  return wrk.format("GET", paths[math.random(#paths)], headers)
end

function delay()
  return math.random(pause_ms / 2, pause_ms * 3 / 2)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.3f, "refused": %d, "lost": %d, "timeouts": %d, '
      .. '"p50_ms": %.1f, "p90_ms": %.1f, "p99_ms": %.1f, "max_ms": %.1f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write, errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3
  ))
end
