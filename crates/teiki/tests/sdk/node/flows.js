// The flows of the SDKs for Node, one after the other in one process: node flows.js
"use strict";

require("./example");
require("./money");
require("./people");
require("./subscriptions");
require("./refusals");
