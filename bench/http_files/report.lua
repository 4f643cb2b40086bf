-- wrk's result as one JSON object. Latencies in microseconds.
done = function(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\n{"requests": %d, "seconds": %.6f, "p99": %d, "statuses": %d, "sockets": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(99), errors.status,
        errors.connect + errors.read + errors.write + errors.timeout))
end
