import { test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
import { runProgram } from '../support/program.ts'
import { smoke } from '../support/smoke.ts'

// `npm run test:nodes` runs this file on every Node that the package is for.
test.each(kinds)('every command and the receiver work on %s, and Node warns of nothing', async (kind) => {
  await smoke(await freshDatabase(kind), runProgram)
})
