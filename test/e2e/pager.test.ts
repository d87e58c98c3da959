import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { addMany, freshDatabase } from '../support/database.ts'
import { bin, freshFolder, runInTerminal } from '../support/program.ts'

/** Sixty rows, where a terminal has forty lines. */
const lines = ['NAME', ...Array.from({ length: 60 }, (_, i) => `many-${String(i + 1).padStart(5, '0')}`)]
const all = lines.join('\n')

async function start() {
  const db = await freshDatabase('sqlite')
  await addMany(db, 1500)
  const folder = freshFolder()
  const less = join(folder, 'less')
  writeFileSync(less, '#!/bin/sh\necho "less $LESS"\nexec cat\n')
  chmodSync(less, 0o755)
  const env = { DATABASE_URL: db.url, NO_COLOR: '1', PATH: `${folder}:${process.env.PATH}` }
  const run = async (args: readonly string[], more: Record<string, string> = {}) => {
    const program = [...('PAGER' in more ? [] : ['env', '-u', 'PAGER']), process.execPath, bin]
    const { code, screen } = await runInTerminal([...args, '--fields', 'name'], [], {
      env: { ...env, ...more },
      program,
    })
    return { code, screen: screen.replaceAll('\r\n', '\n').trimEnd() }
  }
  return Object.assign(run, { db })
}

const sixty = ['list', '--limit', '60']
const others = '1440 more: add --all, or --cursor many-00060'

test('a table that is longer than the terminal goes through a pager, as git has it', async () => {
  const run = await start()
  expect(await run(sixty)).toEqual({ code: 0, screen: `less FRX\n${all}\n${others}` })
  expect(await run(sixty, { LESS: 'S' })).toEqual({ code: 0, screen: `less S\n${all}\n${others}` })
  expect(await run(sixty, { PAGER: 'sed -e s/many/MANY/' })).toMatchObject({
    screen: `${all.replaceAll('many', 'MANY')}\n${others}`,
  })
  expect(await run(sixty, { PAGER: 'sed "1d" | cat' })).toMatchObject({
    screen: `${lines.slice(1).join('\n')}\n${others}`,
  })
  // What follows waits until it is left.
  expect(await run(['list', '--all'], { PAGER: 'sed -n "$=" ; echo left' })).toEqual({ code: 0, screen: '1501\nleft' })
})

test('no pager is started for what fits, where none is wanted, and where nobody could leave it', async () => {
  const run = await start()
  const plain = { code: 0, screen: `${all}\n${others}` }
  for (const PAGER of ['', 'cat']) expect(await run(sixty, { PAGER }), PAGER).toEqual(plain)
  for (const flag of ['--no-pager', '--no-input']) expect(await run([...sixty, flag]), flag).toEqual(plain)
  for (const env of [{ CI: '1' }, { TERM: 'dumb' }]) expect(await run(sixty, env)).toEqual(plain)
  expect((await run(['list', '--limit', '38'])).screen).toMatch(/^NAME\n(many-\d+\n){38}1462 more: .*$/)
  expect((await run(['list', '--limit', '39'])).screen).toMatch(/^less FRX\nNAME\n(many-\d+\n){39}1461 more: .*$/)
})

test('a warning about a row waits until the pager is left, which would be drawn over', async () => {
  const run = await start()
  await run.db.query("UPDATE integrations SET slack_team_name = CAST(X'ff' AS TEXT) WHERE name = 'many-00002'")
  const { screen } = await run(['list', '--all'], { PAGER: 'sed -n "$=" ; echo left' })
  expect(screen).toMatch(/^1501\nleft\nwarning: the column slack_team_name of /)
})

test('a pager may be left at any time, which is no error', async () => {
  const run = await start()
  expect(await run(['list', '--all'], { PAGER: 'head -n 2' })).toEqual({ code: 0, screen: 'NAME\nmany-00001' })
  expect(await run(['list', '--all'], { PAGER: 'true' })).toEqual({ code: 0, screen: '' })
})

test('a pager that cannot be started is told of, and does without where that is known in time', async () => {
  const run = await start()
  expect(await run(sixty, { PAGER: 'no-such-pager -R' })).toEqual({
    code: 0,
    screen: `warning: the pager "no-such-pager -R" of PAGER cannot be started\n${all}\n${others}`,
  })
  expect(await run(sixty, { PAGER: 'no-such-pager "-R"' })).toEqual({
    code: 6,
    screen: expect.stringMatching(
      /\nerror: the output could not be written: the pager "no-such-pager \\"-R\\"" could not be started\nhint: name another pager in PAGER, or pass --no-pager$/,
    ),
  })
})

test('a pager gets colours where it shows them', async () => {
  const run = await start()
  const coloured = async (env: Record<string, string>) => {
    const { screen } = await run(sixty, { NO_COLOR: '', ...env })
    expect(screen).toContain('many-00060')
    return screen.includes('\u001b')
  }
  const stubs = freshFolder()
  for (const [name, text] of [
    ['more', 'exec cat'],
    ['less', 'exec cat'],
  ] as const) {
    writeFileSync(join(stubs, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(stubs, name), 0o755)
  }
  const PATH = `${stubs}:${process.env.PATH}`
  const seen = []
  for (const env of [
    {},
    { PAGER: 'less' },
    { PAGER: `${stubs}/less -S` },
    { PAGER: 'less -FR', LESS: 'S' },
    { PAGER: 'less --RAW-CONTROL-CHARS', LESS: '' },
    { PAGER: 'tr a a | less', LESS: '-F -r' },
    { PAGER: 'more', FORCE_COLOR: '1' },
    { PAGER: '' },
    { LESS: 'FX' },
    { PAGER: 'less --no-init', LESS: '' },
    { PAGER: 'more' },
    { PAGER: 'less | more' },
  ])
    seen.push([env, await coloured({ PATH, ...env })])
  expect(seen.map(([, has]) => has)).toEqual([...Array(8).fill(true), ...Array(4).fill(false)])
})
