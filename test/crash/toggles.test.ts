import { describe, expect, test } from 'vitest'
import { amount } from '../support/crash-amounts.ts'
import { freshDatabase, kinds } from '../support/database.ts'
import { runProgram } from '../support/program.ts'

const processes = amount(10, 20)
const times = amount(3, 10)

describe.each(kinds)('on %s', (kind) => {
  test(`${processes} processes that each toggle the same integration ${times} times lose nothing`, async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    expect(
      await runProgram(['add', '--platform', 'pylon', '--new-workspace', 'Acme', '--name', 'desk'], { env }),
    ).toMatchObject({ code: 0 })

    const toggling = async () => {
      const answers: { version: number; isActive: boolean }[] = []
      for (let i = 0; i < times; i++) {
        const { code, stdout, stderr } = await runProgram(
          ['toggle', 'Acme/desk', '-o', 'json', '--fields', 'version,isActive', '--wait', '2m'],
          { env },
        )
        expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('changed Acme/desk: isActive') })
        answers.push(JSON.parse(stdout))
      }
      return answers
    }
    const answers = (await Promise.all(Array.from({ length: processes }, toggling)))
      .flat()
      .sort((a, b) => a.version - b.version)

    // Each acknowledged a version of its own, and each saw the one before it.
    expect(answers).toEqual(
      Array.from({ length: processes * times }, (_, i) => ({ version: i + 2, isActive: i % 2 === 1 })),
    )
    expect(await db.query('SELECT version FROM integration_versions')).toEqual([{ version: processes * times + 1 }])
    expect(await db.query("SELECT CAST(seq AS INTEGER) AS seq FROM integration_settings WHERE key = 'head'")).toEqual([
      // keys.init, workspace.add, integration.add, and a toggle each.
      { seq: processes * times + 3 },
    ])
  })
})
