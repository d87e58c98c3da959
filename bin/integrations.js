#!/usr/bin/env node
require('../dist/main.cjs')
  .main(process)
  .then((code) => {
    process.exitCode = code
  })
