// Loaded before the Observatory: calls to SITE's ports 80 and 443 go to where the test has it (HTTP_PORT, HTTPS_PORT).
const net = require("node:net");

const ports = { 80: process.env.HTTP_PORT, 443: process.env.HTTPS_PORT };
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (options.host !== process.env.SITE) {
    throw new Error(`a call to ${options.host}`);
  }
  options.host = "127.0.0.1";
  options.port = Number(ports[options.port]);
  return connect.apply(this, args);
};
