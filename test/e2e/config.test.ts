import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, quote, runInTerminal } from '../support/program.ts'
import { notes } from '../support/told.ts'

const help = { id: 'C024BE91L', name: 'help' }
const news = { id: 'C024BE92L', name: 'news' }
const start = { slackChannels: [help, news], slackEvents: ['message'] }
const stillSo = 'no changes made to the config of Acme/support\n'
const changed = 'changed the config of Acme/support\n'
const syntax = 'hint: put keys and strings in double quotes, and no comma after the last item\n'
const nested = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`

describe.each(kinds)('config on %s', (kind) => {
  const run = runInProcess

  /** An integration Acme/support with a config. */
  async function prepare(config: object | string | null = start) {
    const db = await freshDatabase(kind)
    const now = '2026-01-01T00:00:00.000Z'
    await db.query(
      'INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (?, ?, ?, ?)',
      'w',
      'Acme',
      now,
      now,
    )
    await db.query(
      'INSERT INTO integrations (id, workspace_id, platform, name, config, created_at) VALUES (?, ?, ?, ?, ?, ?)',
      'support-1',
      'w',
      'slack',
      'support',
      typeof config === 'string' || config === null ? config : JSON.stringify(config),
      now,
    )
    const env = { DATABASE_URL: db.url }
    return {
      db,
      env,
      config: (args: readonly string[], input = '') => run(['config', ...args], { env, input }),
      /** The same within this process: for what was shown with the program already. */
      again: (args: readonly string[], input = '') => runInProcess(['config', ...args], { env, input }),
      state: () => state(db),
    }
  }

  /** The config as stored, and the version. */
  async function state(db: TestDatabase) {
    const [row] = await db.query(
      'SELECT CAST(i.config AS TEXT) AS config, COALESCE(v.version, 0) AS version FROM integrations i LEFT JOIN integration_versions v ON v.integration_id = i.id',
    )
    return { config: JSON.parse(String(row?.config)), version: Number(row?.version) }
  }

  test('get prints JSON with its keys in order', async () => {
    const { config, again } = await prepare('{"slackEvents": [], "b": {"y": 1.0, "x": "\\u001b[31m"}, "10": 1, "9": 2}')
    expect(await config(['get', 'Acme/support'])).toEqual({
      code: 0,
      stdout: '{\n  "9": 2,\n  "10": 1,\n  "b": {\n    "x": "\\u001b[31m",\n    "y": 1\n  },\n  "slackEvents": []\n}\n',
      stderr: '',
    })
    expect(await config(['get', 'Acme/support', '-o', 'jsonl'])).toEqual({
      code: 0,
      stdout: '{"9":2,"10":1,"b":{"x":"\\u001b[31m","y":1},"slackEvents":[]}\n',
      stderr: '',
    })
    expect(await config(['get', 'Acme/support', 'b.x'])).toEqual({ code: 0, stdout: '"\\u001b[31m"\n', stderr: '' })
    expect(await again(['get', 'Acme/support', 'b.toString', '-o', 'json'])).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('"code":"NOT_FOUND"'),
    })
    expect(await again(['get', 'Acme/support', '-o', 'csv'])).toMatchObject({ code: 2, stdout: '' })
  })

  test('set puts values at paths, once', async () => {
    const { config, again, state } = await prepare(null)
    const values = [
      `slackChannels=[${JSON.stringify(help)}]`,
      'slackChannels[0].name="triage"',
      'slackChannels[1]={"id":"C1X","name":"two\\nlines"}',
      'a\\.b\\=c.d[0]=1e2',
    ]
    const answer = { stdout: expect.stringMatching(/^Acme\tsupport\tslack\ttrue\t.*\tsupport-1\n$/) }
    const warning =
      'warning: a\\.b=c is unknown (known values: slackChannels, slackEvents, slackOtherBots) and will be kept\n'
    const rehearsal = await config(['set', 'Acme/support', ...values, '--dry-run'])
    expect(rehearsal).toEqual({ code: 0, ...answer, stderr: `${warning}would change the config of Acme/support\n` })
    expect(await state()).toEqual({ config: null, version: 0 })
    expect(await config(['set', 'Acme/support', ...values, '--if-version', '0'])).toEqual({
      code: 0,
      ...answer,
      stderr: `${warning}${changed}`,
    })
    const stored = {
      'a.b=c': { d: [100] },
      slackChannels: [
        { ...help, name: 'triage' },
        { id: 'C1X', name: 'two\nlines' },
      ],
    }
    expect(await state()).toEqual({ config: stored, version: 1 })
    expect(await again(['set', 'Acme/support', ...values])).toEqual({
      code: 0,
      ...answer,
      stderr: `${warning}${stillSo}`,
    })
    expect(await state()).toEqual({ config: stored, version: 1 })
    const object = JSON.parse((await again(['set', 'Acme/support', 'slackEvents=["message"]', '-o', 'json'])).stdout)
    expect(object).toMatchObject({ id: 'support-1', config: { ...stored, slackEvents: ['message'] }, version: 2 })
  })

  test('set adds to an array with +=, once, and to nothing else', async () => {
    const { config, state } = await prepare(null)
    const add = (...values: string[]) => config(['set', 'Acme/support', ...values])
    expect(await add('slackEvents+="message"', 'slackEvents+="app_mention"')).toMatchObject({ code: 0 })
    const stored = { slackEvents: ['message', 'app_mention'] }
    expect(await state()).toEqual({ config: stored, version: 1 })
    expect(await add('slackEvents+="message"')).toMatchObject({ code: 0, stderr: stillSo })
    expect(await add('slackEvents[0]+="x"')).toEqual({
      code: 2,
      stdout: '',
      stderr: 'error: slackEvents[0] is not an array\nhint: replace the value with slackEvents[0]=…\n',
    })
    expect(await state()).toEqual({ config: stored, version: 1 })
  })

  test('unset removes what all its paths meant before, and leaves no gap', async () => {
    const { config, again, state } = await prepare({
      slackChannels: [help, news, { ...help, name: 'old' }],
      slackEvents: ['message'],
      x: { y: 1 },
    })
    expect(
      await config(['unset', 'Acme/support', 'slackChannels[0]', 'slackChannels[1]', 'slackEvents', 'x.y', 'x.none']),
    ).toMatchObject({
      code: 0,
      stderr: `warning: x is unknown (known values: slackChannels, slackEvents, slackOtherBots) and will be kept\n${changed}`,
    })
    expect(await state()).toEqual({ config: { slackChannels: [{ ...help, name: 'old' }], x: {} }, version: 1 })
    expect(
      await again(['unset', 'Acme/support', 'slackEvents', 'slackChannels[7]', 'slackChannels.length', 'x.toString']),
    ).toMatchObject({ code: 0, stderr: expect.stringContaining(stillSo) })
    expect(await state()).toMatchObject({ version: 1 })
  })

  test('patch merges a file or standard input', async () => {
    const { config, again, state } = await prepare()
    const file = join(freshFolder(), 'patch.json')
    writeFileSync(file, '{"slackEvents": null, "x": {"y": null, "z": {"$type": "Json"}}}')
    expect(await config(['patch', 'Acme/support', file])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(changed),
    })
    expect(await state()).toEqual({ config: { slackChannels: [help, news], x: { z: { $type: 'Json' } } }, version: 1 })
    expect(await config(['patch', 'Acme/support'], '{"x": null}')).toMatchObject({ code: 0, stderr: changed })
    expect(await config(['patch', 'Acme/support', '-'], '{"x": null}')).toMatchObject({ code: 0, stderr: stillSo })
    expect(await state()).toEqual({ config: { slackChannels: [help, news] }, version: 2 })
    expect(await again(['patch', 'Acme/support'], 'null')).toMatchObject({ code: 0, stderr: changed })
    expect(await state()).toEqual({ config: null, version: 3 })
    expect(await again(['patch', 'Acme/support'], '{}')).toMatchObject({ code: 0, stderr: stillSo })
    // A large one, deep as it may be, survives the way there and back.
    const large = {
      slackChannels: Array.from({ length: 6000 }, (_, i) => ({ id: `C${i}AB`, name: `channel ${i} 😀` })),
    }
    const deep = nested(32)
    expect(await config(['patch', 'Acme/support'], JSON.stringify(large))).toMatchObject({ code: 0, stderr: changed })
    expect(await config(['patch', 'Acme/support'], deep)).toMatchObject({ code: 0 })
    expect(await state()).toEqual({ config: { ...large, ...JSON.parse(deep) }, version: 5 })
    expect(JSON.parse((await config(['get', 'Acme/support'])).stdout)).toEqual({ ...large, ...JSON.parse(deep) })
  })

  test('what cannot be kept is refused with the place, and changes nothing', async () => {
    const { state, env, db } = await prepare()
    const place = (what: string) => new RegExp(`^error: .*, line 1, column \\d+: ${what}\nhint: .+\n$`)
    const refusals: [args: string[], input: string, code: number, stderr: string | RegExp][] = [
      [
        ['set', 'Acme/support', 'slackChannels[0].name=triage'],
        '',
        2,
        `error: the value of slackChannels[0].name is not JSON\nhint: put text in double quotes that the shell does not remove: 'slackChannels[0].name="triage"'\n`,
      ],
      [
        ['set', 'Acme/support', 'name=triage'],
        '',
        2,
        'error: the value of name is not JSON\nhint: put text in double quotes that the shell does not remove: name=\\"triage\\"\n',
      ],
      [['set', 'Acme/support', 'x='], '', 2, /^error: the value of x is not JSON\n/],
      [['set', 'Acme/support', 'x'], '', 2, `error: "x" is not of the form path=value\nhint: as in 'x="value"'\n`],
      [['set', 'Acme/support', 'x=[1,]'], '', 2, `error: the value of x, line 1, column 4: value expected\n${syntax}`],
      [['set', 'Acme/support', 'x=9007199254740993'], '', 2, place('a number cannot be stored exactly')],
      [['set', 'Acme/support', 'x={"a":1,"\\u0061":2}'], '', 2, place('duplicate key "a"')],
      [['set', 'Acme/support', 'x="\\u0000"'], '', 2, place('a string contains a character that cannot be stored')],
      [['set', 'Acme/support', `x=${nested(32)}`], '', 2, place('the document is nested deeper than 32 levels')],
      [
        ['set', 'Acme/support', 'slackChannels[3]=1'],
        '',
        2,
        'error: slackChannels[3] would leave a gap: slackChannels has length 2\nhint: the next index is 2\n',
      ],
      [
        ['set', 'Acme/support', 'slackEvents.x=1'],
        '',
        2,
        /^error: slackEvents\.x leads nowhere: slackEvents is not an object\n/,
      ],
      [
        ['set', 'Acme/support', 'slackEvents[0].x=1'],
        '',
        2,
        /^error: slackEvents\[0\]\.x leads nowhere: slackEvents\[0\] is not an object\n/,
      ],
      [['set', 'Acme/support', '[0]=1'], '', 2, /^error: \[0\] leads nowhere: the config is not an array\n/],
      ...['__proto__.x', 'x.__proto__', 'x.constructor.prototype.y', 'x[]', 'x[1', 'x..y', ''].map(
        (path): [string[], string, number, RegExp] => [
          ['set', 'Acme/support', `${path}=1`],
          '',
          2,
          / is not a path\nhint: /,
        ],
      ),
      [['unset', 'Acme/support', '__proto__'], '', 2, / is not a path\n/],
      [
        ['set', 'Acme/support', 'slackEvents="message"'],
        '',
        2,
        'error: the config does not match the schema of Slack: slackEvents must be array\nhint: integrations config schema slack\n',
      ],
      [['unset', 'Acme/support', 'slackChannels[0].id'], '', 2, /slackChannels\[0\] must have required property 'id'/],
      [['set', 'Acme/support', 'x=1', '--if-version', '7'], '', 5, /^error: Acme\/support is at version 0, not 7\n/],
      [['patch', 'Acme/support'], '', 2, place('value expected')],
      [['patch', 'Acme/support'], '\uFEFF{}', 2, place('the document has a byte order mark')],
      [['patch', 'Acme/support'], '{} // so', 2, place('invalid comment token')],
      [['patch', 'Acme/support'], '{"a":{"__proto__":{}}}', 2, place('the key "__proto__" is not allowed')],
      [['patch', 'Acme/support'], `{"a":"${'x'.repeat(256 * 1024)}"}`, 2, place('the document exceeds 256 KB')],
      // The patch is small enough; what it would make is not, by the 120 bytes that are there already.
      [['patch', 'Acme/support'], `{"a":"${'x'.repeat(256 * 1024 - 20)}"}`, 2, place('the document exceeds 256 KB')],
      [['patch', 'Acme/support'], '["slackEvents"]', 2, place('the document is not a JSON object')],
      [
        ['patch', 'Acme/support', '/nowhere/patch.json'],
        '',
        2,
        /^error: the file of the patch cannot be read \(ENOENT\)\n/,
      ],
      [
        ['edit', 'Acme/support'],
        '',
        2,
        'error: an editor cannot be opened: prompts are off or there is no terminal\nhint: integrations config patch Acme/support <file>\n',
      ],
      [['get', 'Acme/nothing'], '', 3, /^error: there is no integration "Acme\/nothing"\n/],
    ]
    for (const [args, input, code, stderr] of refusals)
      expect({ args, ...(await runInProcess(['config', ...args], { env, input })) }).toEqual({
        args,
        code,
        stdout: '',
        stderr: typeof stderr === 'string' ? stderr : expect.stringMatching(stderr),
      })
    const add = await run(
      ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'new', '--config', '{"a":\n1e400}'],
      { env },
    )
    expect(add).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: --config, line 2, column 1: a number cannot be stored exactly\nhint: write it as a string, in double quotes\n',
    })
    expect(await state()).toEqual({ config: start, version: 0 })
    expect(await db.query('SELECT id FROM integrations')).toEqual([{ id: 'support-1' }])
  })

  test('what an application stored is shown, and not changed by the way', async () => {
    for (const [stored, why] of [
      ['{"big": 9007199254740993}', 'column 9: a number cannot be stored exactly'],
      ['["message"]', 'column 1: the document is not a JSON object'],
    ] as const) {
      const { config, again, db } = await prepare(stored)
      const error = `the stored config, line 1, ${why}`
      expect(await config(['get', 'Acme/support'])).toEqual({
        code: 0,
        stdout: `${stored}\n`,
        stderr: `warning: ${error}; the config is shown as stored, and only the application can change it\n`,
      })
      for (const args of [
        ['get', 'Acme/support', 'big'],
        ['set', 'Acme/support', 'x=1'],
        ['unset', 'Acme/support', 'big'],
        ['patch', 'Acme/support'],
      ])
        expect({ args, ...(await again(args, 'null')) }).toMatchObject({
          args,
          code: 2,
          stdout: '',
          stderr: expect.stringContaining(`error: ${error}\n`),
        })
      expect(await again(['validate', 'Acme/support'])).toMatchObject({
        code: 8,
        stdout: expect.stringContaining(why),
      })
      expect(await db.query('SELECT CAST(config AS TEXT) AS config FROM integrations')).toEqual([{ config: stored }])
      expect(await db.query('SELECT version FROM integration_versions')).toEqual([])
    }
  })

  test('validate lists every finding; schema prints the schema', async () => {
    const { config, again } = await prepare({
      slackEvents: ['mesage'],
      slackChanels: [],
      slackChannels: [{ id: 1, nam: 'x' }],
    })
    const findings = [
      "error\tslackChannels[0]\tmust have required property 'name'",
      'error\tslackChannels[0].id\tmust be string',
      'warning\tslackChanels\tis unknown (did you mean slackChannels?) and will be kept',
      'warning\tslackChannels[0].nam\tis unknown (did you mean name?) and will be kept',
      'warning\tslackEvents[0]\t"mesage" is unknown (did you mean message?) and will be kept',
      '',
    ]
    expect(await config(['validate', 'Acme/support'])).toEqual({
      code: 8,
      stdout: findings.join('\n'),
      stderr:
        'error: the config of Acme/support does not fit Slack: 2 problems\nhint: integrations config schema slack\n',
    })
    const odd = await config(['validate', '--platform', 'pylon', '--file', '-', '-o', 'json'], '{"pylonRegoin":"eu"}')
    expect({ ...odd, stdout: JSON.parse(odd.stdout) }).toEqual({
      code: 0,
      stdout: [
        {
          severity: 'warning',
          path: 'pylonRegoin',
          message: 'is unknown (did you mean pylonRegion?) and will be kept',
        },
      ],
      stderr: notes('standard input fits Pylon'),
    })
    expect(await again(['validate', '--platform', 'pylon', '--file', '-'], '{"pylonRegion":"uk",}')).toMatchObject({
      code: 8,
      stdout: 'error\t\tthe document, line 1, column 21: property name expected\n',
    })
    expect(await again(['validate', '--platform', 'pylon', '--file', '-'], '{"pylonRegion":"uk"}')).toMatchObject({
      code: 8,
      stdout: 'error\tpylonRegion\tmust be equal to one of the allowed values: us, eu\n',
    })
    expect(await again(['validate', '--platform', 'pylon'])).toMatchObject({ code: 2, stdout: '' })
    expect(await again(['validate', 'Acme/support', '--platform', 'pylon'])).toMatchObject({ code: 2, stdout: '' })
    expect(JSON.parse((await config(['schema', 'pylon'])).stdout)).toMatchObject({
      type: 'object',
      properties: { pylonRegion: { enum: ['us', 'eu'] } },
    })
    expect(await again(['schema', 'salck'])).toMatchObject({ code: 2, stdout: '' })
  })

  test('a terminal shows the difference', async () => {
    const { env } = await prepare()
    const { code, screen } = await runInTerminal(
      ['config', 'set', 'Acme/support', 'slackChannels[1].name="triage"'],
      [],
      {
        env,
      },
    )
    expect({ code, screen: screen.replaceAll('\r', '') }).toEqual({
      code: 0,
      screen: `changed the config of Acme/support
\u001b[2m@@ line 6 -> 6\u001b[22m
     },
     {
       "id": "C024BE92L",
\u001b[31m-      "name": "news"\u001b[39m
\u001b[32m+      "name": "triage"\u001b[39m
     }
   ],
   "slackEvents": [
`,
    })
  })

  describe('edit', () => {
    /** Runs `config edit`; the editor is a shell script that knows the file, and how often it ran. */
    async function edit(script: string, answers: readonly (readonly [string, string])[], args: string[] = []) {
      const prepared = await prepare()
      const folder = freshFolder()
      const editor = join(folder, 'editor')
      const count = join(folder, 'count')
      writeFileSync(
        editor,
        `#!/bin/sh\nfile="$2"\necho run >> ${quote(count)}\nn=$(wc -l < ${quote(count)})\n${script}\n`,
        { mode: 0o755 },
      )
      const temporary = join(folder, 'temporary')
      mkdirSync(temporary)
      const env = {
        ...prepared.env,
        NO_COLOR: '1',
        TMPDIR: temporary,
        VISUAL: `${quote(editor)} --wait`,
        EDITOR: 'false',
      }
      const { code, screen } = await runInTerminal(['config', 'edit', 'Acme/support', ...args], answers, { env })
      const [left] = readdirSync(temporary)
      const kept = left === undefined ? undefined : join(temporary, left, 'config.jsonc')
      return {
        ...prepared,
        code,
        screen: screen.replaceAll('\r', ''),
        runs: existsSync(count) ? readFileSync(count, 'utf8').length / 4 : 0,
        kept,
        draft: kept && readFileSync(kept, 'utf8'),
        read: (name: string) => readFileSync(join(folder, name), 'utf8'),
      }
    }
    const rename = 'sed s/news/triage/ "$file" > "$file.new" && mv "$file.new" "$file"'
    const keysOfSlack = `// The config of Acme/support (Slack). Lines that begin with // are left out.
// slackChannels: array. The channels to listen to; all of them when absent.
// slackEvents: array. The event types to handle; all of them when absent.
// slackOtherBots: boolean. Whether to handle the messages of other bots, too; those of the own bot are never handled.
// The whole schema: integrations config schema slack
`
    const renamed = { ...start, slackChannels: [help, { ...news, name: 'triage' }] }

    test('shows the difference, asks, and saves', async () => {
      const { code, screen, state, kept } = await edit(
        `stat -c %a "$file" "$(dirname "$file")" > "$(dirname "$0")/modes"\ncp "$file" "$(dirname "$0")/text"\n${rename}`,
        [['Change the config of Acme/support?', 'y\r']],
      )
      expect({ code, kept, ...(await state()) }).toEqual({ code: 0, kept: undefined, config: renamed, version: 1 })
      expect(screen).toContain('-      "name": "news"\n+      "name": "triage"\n')
      expect(screen).toMatch(/changed the config of Acme\/support\n$/)
    })

    test('gives the editor a private file', async () => {
      const { read } = await edit(
        `stat -c %a "$file" "$(dirname "$file")" > "$(dirname "$0")/modes"\ncp "$file" "$(dirname "$0")/text"`,
        [],
      )
      expect(read('modes')).toBe('600\n700\n')
      expect(read('text')).toBe(`${keysOfSlack}${JSON.stringify(start, null, 2)}\n`)
    })

    test('does nothing when nothing changed, not even its layout', async () => {
      for (const script of [
        ':',
        '{ grep ^// "$file"; grep -v ^// "$file" | tr -d "\\n"; } > "$file.new" && mv "$file.new" "$file"',
      ]) {
        const { code, screen, state, kept } = await edit(script, [])
        expect({ code, screen, kept, ...(await state()) }).toEqual({
          code: 0,
          screen: stillSo,
          kept: undefined,
          config: start,
          version: 0,
        })
      }
    })

    test('opens the draft again with the error', async () => {
      const script = `case $n in 1) printf "{,}" > "$file";; 2) echo typing; read word; grep -q "^{,}$" "$file" && [ "$word" = go ] && printf '{"slackEvents":1}' > "$file";; 3) printf '{"slackEvents":["message","im_open"],"slackEvnts":1}' > "$file";; esac`
      const { code, screen, state, runs, kept } = await edit(script, [
        ['Open the editor again?', 'y\r'],
        ['typing', 'go\r'],
        ['Open the editor again?', 'y\r'],
        ['Change the config', 'y\r'],
      ])
      expect({ code, runs, kept, ...(await state()) }).toEqual({
        code: 0,
        runs: 3,
        kept: undefined,
        config: { slackEvents: ['message', 'im_open'], slackEvnts: 1 },
        version: 1,
      })
      expect(screen).toContain('error: your text, line 1, column 2: value expected\n')
      expect(screen).toContain('error: the config does not match the schema of Slack: slackEvents must be array\n')
      expect(screen).toContain('warning: slackEvnts is unknown (did you mean slackEvents?) and will be kept\n')
    })

    test('keeps the draft of who gives up, declines or presses Ctrl-C', async () => {
      for (const [script, answers] of [
        ['printf "{,}" > "$file"', [['Open the editor again?', 'n\r']]],
        [rename, [['Change the config', 'n\r']]],
        [rename, [['Change the config', '\u0003']]],
      ] as const) {
        const { code, screen, state, kept, draft } = await edit(script, answers)
        expect({ code, ...(await state()) }).toEqual({ code: 130, config: start, version: 0 })
        expect(draft).toBe(script === rename ? `${JSON.stringify(renamed, null, 2)}\n` : '{,}')
        expect(screen).toMatch(
          new RegExp(
            `your text is kept in ${kept}\nerror: cancelled; nothing was changed\nhint: run the command again to start over\n$`,
          ),
        )
      }
    })

    test('an editor that fails changes nothing', async () => {
      const failed = await edit('exit 3', [])
      expect(failed).toMatchObject({
        code: 2,
        kept: undefined,
        screen: expect.stringMatching(
          /^error: the editor .* ended with 3; nothing was changed\nhint: name another editor in VISUAL or EDITOR, or use integrations config patch\n$/,
        ),
      })
      const late = await edit(`${rename}; exit 3`, [])
      expect(late).toMatchObject({ code: 2, draft: `${JSON.stringify(renamed, null, 2)}\n` })
      expect(await edit('rm "$file"', [])).toMatchObject({ code: 2, draft: undefined })
      const { env, state } = await prepare()
      for (const none of ['/nowhere/editor', 'no-editor --wait', `${freshFolder()}/my editor`, "'unfinished"]) {
        const { code, screen } = await runInTerminal(['config', 'edit', 'Acme/support'], [], {
          env: { ...env, EDITOR: none, NO_COLOR: '1' },
        })
        expect({ code, screen: screen.replaceAll('\r', '') }).toEqual({
          code: 2,
          screen: `error: the editor ${JSON.stringify(none)} could not be started; nothing was changed\nhint: name another editor in VISUAL or EDITOR, or use integrations config patch\n`,
        })
      }
      expect(await state()).toEqual({ config: start, version: 0 })
    })

    test('is started as a shell reads it, and from a path with a space', async () => {
      const folder = join(freshFolder(), 'my tools')
      mkdirSync(folder)
      const editor = join(folder, 'editor')
      writeFileSync(
        editor,
        `#!/bin/sh\nfor file; do :; done\necho "$# $WORD" > ${quote(join(folder, 'given'))}\n${rename}\n`,
        {
          mode: 0o755,
        },
      )
      for (const [command, given] of [
        [editor, '1 '],
        [`${quote(editor)} --wait -n`, '3 '],
        [`WORD=two ${quote(editor)} "a b"`, '2 two'],
        [`sh -c '"$MY_TOOLS/editor" "$@"' -`, '1 '],
      ] as const) {
        const { env, state } = await prepare()
        const { code, screen } = await runInTerminal(
          ['config', 'edit', 'Acme/support'],
          [['Change the config', 'y\r']],
          { env: { ...env, EDITOR: command, MY_TOOLS: folder } },
        )
        expect(
          { command, code, given: readFileSync(join(folder, 'given'), 'utf8'), ...(await state()) },
          screen,
        ).toEqual({
          command,
          code: 0,
          given: `${given}\n`,
          config: renamed,
          version: 1,
        })
      }
    })

    test("Ctrl-C in the editor is the editor's, SIGTERM ends both", async () => {
      // The interrupt goes to every process of the terminal.
      const interrupted = await edit(
        `trap '${rename}; exit 0' INT\necho ready > /dev/tty\nwhile :; do sleep 0.1; done`,
        [
          ['ready', '\u0003'],
          ['Change the config', 'y\r'],
        ],
      )
      expect({ code: interrupted.code, ...(await interrupted.state()) }).toEqual({
        code: 0,
        config: renamed,
        version: 1,
      })
      const unchanged = await edit('kill -TERM $PPID; sleep 5', [])
      expect(unchanged).toMatchObject({ code: 143, kept: undefined })
      const draft = await edit(`${rename}; kill -TERM $PPID; sleep 5`, [])
      expect(draft).toMatchObject({ code: 143, draft: `${JSON.stringify(renamed, null, 2)}\n` })
    })

    test('refuses when the row changed meanwhile, and keeps the draft', async () => {
      for (const [statement, version] of [
        ['UPDATE integrations SET config = \'{"slackEvents":[]}\'', 0],
        [
          "INSERT INTO integration_versions (integration_id, version, updated_at) VALUES ('support-1', 1, '2026-01-01 00:00:00')",
          1,
        ],
      ] as const) {
        // The editor waits until the row was changed below.
        const prepared = await prepare()
        const folder = freshFolder()
        const editor = join(folder, 'editor')
        writeFileSync(
          editor,
          `#!/bin/sh\nfile="$1"\ntouch ${quote(join(folder, 'open'))}\nwhile [ ! -e ${quote(join(folder, 'changed'))} ]; do sleep 0.1; done\n${rename}\n`,
          { mode: 0o755 },
        )
        const done = runInTerminal(['config', 'edit', 'Acme/support'], [['Change the config', 'y\r']], {
          env: { ...prepared.env, EDITOR: editor, TMPDIR: folder, NO_COLOR: '1' },
        })
        while (!existsSync(join(folder, 'open'))) await new Promise((resolve) => setTimeout(resolve, 50))
        await prepared.db.query(statement)
        writeFileSync(join(folder, 'changed'), '')
        const { code, screen } = await done
        const kept = /your text is kept in (\S+)/.exec(screen)?.[1] ?? ''
        expect({ code, draft: readFileSync(kept, 'utf8') }).toEqual({
          code: 5,
          draft: `${JSON.stringify(renamed, null, 2)}\n`,
        })
        expect(await prepared.state()).toEqual({ config: version === 0 ? { slackEvents: [] } : start, version })
      }
    })

    test('with --dry-run nothing is asked or changed', async () => {
      const { code, screen, state, kept } = await edit(rename, [], ['--dry-run'])
      expect({ code, kept, ...(await state()) }).toEqual({ code: 0, kept: undefined, config: start, version: 0 })
      expect(screen).toMatch(/^would change the config of Acme\/support\n@@ [\s\S]*\+ {6}"name": "triage"\n/)
    })
  })
})
