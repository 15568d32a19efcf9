// What every answer must look like, whatever it says: the keys of shapes.json, whole numbers, metadata of strings.
"use strict";

const assert = require("node:assert/strict");
const SHAPES = require("../shapes.json");

const ERROR_TYPES = [
  "client_error",
  "card_error",
  "server_error",
  "not_allowed_method_error",
  "auth_error",
  "invalid_request_error",
];
const ID_LENGTH = 32;

/** Throws unless the value and everything in it have their shape. */
function check(value, at = "body") {
  if (typeof value === "number") {
    assert.ok(Number.isInteger(value), `${at}: ${value} is not a whole number`);
  } else if (Array.isArray(value)) {
    value.forEach((inner, number) => check(inner, `${at}[${number}]`));
  } else if (isObject(value)) {
    for (const [key, shape] of Object.entries(SHAPES[value.object] ?? {})) {
      assert.ok(key in value, `${at}: ${value.object} has no key ${key}: ${Object.keys(value)}`);
      assert.ok(fits(value[key], shape), `${at}.${key}: ${JSON.stringify(value[key])} is not \`${shape}\``);
    }
    for (const [key, inner] of Object.entries(value)) check(inner, `${at}.${key}`);
    if (value.object === "list") checkList(value, at);
    if (value.deleted !== undefined) {
      assert.deepEqual(Object.keys(value).sort(), ["deleted", "id", "livemode"], at);
    }
  }
}

/** The error of a body, which must be one of this HTTP status. */
function checkError(body, status) {
  assert.deepEqual(
    Object.keys(body),
    ["error"],
    `an error body has the one key error: ${JSON.stringify(body)}`,
  );
  const { error } = body;
  assert.equal(error.status, status, "error.status is the HTTP status");
  assert.ok(ERROR_TYPES.includes(error.type), `${error.type} is none of the documented types`);
  assert.ok(typeof error.message === "string" && error.message.trim() !== "", "an error says what is wrong");
  for (const key of ["code", "param", "charge"]) {
    const value = error[key] ?? "absent";
    assert.ok(typeof value === "string" && value !== "", `error.${key} is ${value}`);
  }
  return error;
}

function checkList(list, at) {
  assert.equal(list.count, list.data.length, `${at}: count is the number of items here`);
  assert.match(list.url, /^\/v1\/[^?]+$/, `${at}: the url of a list`);
}

function fits(value, shape) {
  if (shape.endsWith("?")) return value === null || fits(value, shape.slice(0, -1));
  if (shape.startsWith("id ")) return isId(value, shape.slice("id ".length));
  if (shape.startsWith("list of ")) {
    const of = shape.slice("list of ".length);
    return value?.object === "list" && value.data.every((item) => item.object === of);
  }
  switch (shape) {
    case "string":
    case "boolean":
      return typeof value === shape;
    case "integer":
      return Number.isInteger(value);
    case "strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
    case "metadata":
      return isObject(value) && Object.values(value).every((item) => typeof item === "string");
    case "resources":
      return Array.isArray(value) && value.every(isObject);
    case "resource":
      return isObject(value) && ("object" in value || value.deleted === true);
    default:
      return value?.object === shape;
  }
}

function isId(value, prefix) {
  return (
    typeof value === "string" && value.length === ID_LENGTH && new RegExp(`^${prefix}[0-9a-f]+$`).test(value)
  );
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

module.exports = { check, checkError };
