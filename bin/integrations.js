#!/usr/bin/env node
require('../dist/main.cjs')
  .main(process)
  .then((code) => {
    process.exitCode = code
    // The event loop ends the process. What hangs would keep it: once both streams are written, nothing is waited for.
    process.stdout.write('', () => process.stderr.write('', () => setTimeout(() => process.exit(), 500).unref()))
  })
