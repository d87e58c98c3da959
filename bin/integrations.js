#!/usr/bin/env node
// Node's own warnings are about how a program is written; on stderr they would stand between lines of JSON.
if (process.env.DEBUG !== 'integrations') process.removeAllListeners('warning')
require('../dist/main.cjs').start()
