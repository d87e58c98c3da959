import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { bin, quote, runCommand } from '../support/program.ts'

/** Names that are taken, and come back byte for byte. */
const taken: Record<string, string> = {
  latin: 'Zoë Ångström Ðæg',
  greek: 'Υποστήριξη',
  cyrillic: 'Поддержка',
  arabic: 'الدعم الفني',
  hebrew: 'תמיכה',
  devanagari: 'सहायता',
  thai: 'สนับสนุน',
  chinese: '客户支持',
  japanese: 'サポート',
  korean: '고객 지원',
  ethiopic: 'ድጋፍ',
  'outside the basic plane': '𐍅𐌰𐌿𐍂𐌳𐌰 𠜎',
  emoji: '🚀 support 🇵🇹',
  quotes: `it's "quoted" \`twice\``,
  SQL: `'; DROP TABLE integrations; --`,
  'SQL wildcards': '100%_sure\\',
  'shell metacharacters': '$(rm -rf ~) && `id` | tee > x; #!*?[]{}~',
  option: '--help',
  number: '0x1F',
  'word of JavaScript': '__proto__',
  'word of SQL': 'NULL',
  '1,000 characters': 'n'.repeat(1000),
  '1,000 characters of four bytes': '𐍈'.repeat(1000),
  'emoji of several': `👩\u200d🚀 ops ❤\ufe0f\u200d🔥 ${String.fromCodePoint(0x1f3f4, 0xe0067, 0xe0062, 0xe0065, 0xe006e, 0xe0067, 0xe007f)} ☎\ufe0f 1\ufe0f\u20e3`,
  'spreadsheet formula': '=1+1',
  backslashes: 'a\\tb\\u0000\\x1b',
}

/** Names that are refused, and why. */
const refused: [what: string, name: string, why: RegExp][] = [
  ['nothing', '', /is empty/],
  ['blanks', '   ', /is empty/],
  ['1,001 characters', 'n'.repeat(1001), /longer than 1000 characters/],
  ['an ESC sequence', '\u001b[31mred', /control, invisible/],
  ['a C1 control character', 'a\u009b31m', /control, invisible/],
  ['an OSC 52 sequence', '\u001b]52;c;aGk=\u0007', /control, invisible/],
  ['a newline', 'a\nb', /control, invisible/],
  ['a carriage return', 'a\rb', /control, invisible/],
  ['a tab', 'a\tb', /control, invisible/],
  ['a right-to-left override', 'a\u202eb', /control, invisible/],
  ['a zero-width space', 'a\u200bb', /control, invisible/],
  ['a zero-width joiner', 'a\u200db', /control, invisible/],
  ['a zero-width joiner after an emoji', '👩\u200d', /control, invisible/],
  ['a joiner of what is no emoji together', '👩\u200d\u200d💻', /control, invisible/],
  ['a variation selector after a letter', 'a\ufe0f', /control, invisible/],
  ['the tags of a flag alone', '\u{e0067}\u{e007f}', /control, invisible/],
  ['a byte order mark', '\ufeffa', /control, invisible/],
  ['a soft hyphen', 'a\u00adb', /control, invisible/],
  ['a tag character', 'a\u{e0041}', /control, invisible/],
  ['a private use character', 'a\ue000', /control, invisible/],
  ['a line separator', 'a\u2028b', /control, invisible/],
  ['a replacement character', 'a\ufffdb', /not valid Unicode/],
  ['a space in front', ' a', /begins or ends with a space/],
  ['another normal form', 'e\u0301', /normal form C/],
  ['a slash', 'a/b', /slash/],
]

describe.each(kinds)('names on %s', (kind) => {
  const run = runInProcess

  test('come back byte for byte, or are refused', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const workspace = Object.values(taken).join('').slice(0, 1000)
    expect(
      await runInProcess(['workspaces', 'add', '--', workspace.normalize('NFC').replaceAll('/', '')], { env }),
    ).toMatchObject({ code: 0 })
    const [row] = await db.query('SELECT id FROM workspaces')
    const id = String(row?.id)

    for (const [what, name] of Object.entries(taken)) {
      const added = await runInProcess(
        ['add', '--platform', 'pylon', '--workspace', id, `--name=${name}`, '-o', 'json', '--fields', 'name'],
        { env },
      )
      expect([what, added.code, JSON.parse(added.stdout)]).toEqual([what, 0, { name }])
    }
    for (const [what, name, why] of refused) {
      const outcome = await runInProcess(['add', '--platform', 'pylon', '--workspace', id, `--name=${name}`], { env })
      expect([what, outcome]).toEqual([what, { code: 2, stdout: '', stderr: expect.stringMatching(why) }])
      // What was refused is not handed on to the terminal either.
      expect(outcome.stderr).not.toMatch(/[\p{C}--\n]/v)
    }

    const byBytes = Object.values(taken).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const listed = await runInProcess(['list', '-o', 'json', '--fields', 'name'], { env })
    expect(JSON.parse(listed.stdout).map((one: { name: string }) => one.name)).toEqual(byBytes)
    expect((await db.query('SELECT name FROM integrations')).map((one) => one.name).sort()).toEqual(
      Object.values(taken).sort(),
    )

    // A name stands for its integration, whatever is in it.
    for (const name of Object.values(taken)) {
      const shown = await runInProcess(['show', '-o', 'json', '--fields', 'name', '--', name], { env })
      expect(JSON.parse(shown.stdout)).toEqual({ name })
    }
  })

  test('one that is too long for an index is refused, and nothing is changed', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    // Letters of three bytes that no compression makes shorter.
    const name = Array.from({ length: 1000 }, (_, i) => String.fromCodePoint(0x4e00 + ((i * i * 7919) % 20_000))).join(
      '',
    )
    const added = await runInProcess(['workspaces', 'add', name, '-o', 'id'], { env })
    expect(added).toMatchObject({ code: kind === 'sqlite' ? 0 : 2 })
    if (kind === 'sqlite') return
    const { host, pathname } = new URL(db.url)
    expect(added).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: a name or an identifier is too long for an index of postgresql://postgres@${host}${pathname} (54000)\nhint: shorten the value to 500 characters\n`,
    })
    expect(await db.query('SELECT id FROM workspaces')).toEqual([])
  })

  test('bytes that are not UTF-8 are refused', async () => {
    const db = await freshDatabase(kind)
    // A lone surrogate as UTF-8 would write it, and a byte that begins no character.
    for (const bytes of ['\\355\\240\\200', '\\377'])
      expect(
        await runCommand(
          'sh',
          ['-c', `exec ${quote(process.execPath)} ${quote(bin)} workspaces add "$(printf '${bytes}')"`],
          { env: { DATABASE_URL: db.url } },
        ),
      ).toEqual({
        code: 2,
        stdout: '',
        stderr: 'error: the workspace name is not valid Unicode\nhint: type the name in UTF-8\n',
      })
    expect(await db.query('SELECT id FROM workspaces')).toEqual([])
  })

  test('of the application never reach a terminal raw', async () => {
    const db = await freshDatabase(kind)
    const wild = 'red \u001b[31m \u009b \u202e \u200b \r\n\t end'
    await db.query(
      "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', ?, '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
      wild,
    )
    await db.query(
      "INSERT INTO integrations (id, workspace_id, platform, name, config, slack_team_name) VALUES ('i', 'w', 'slack', ?, ?, ?)",
      wild,
      JSON.stringify({ note: wild }),
      wild,
    )
    const env = { DATABASE_URL: db.url }
    const raw = /[\p{C}--\n]/v
    for (const args of [
      ['list'],
      ['list', '-o', 'csv'],
      ['list', '-o', 'json'],
      ['list', '-o', 'jsonl'],
      ['show', 'i'],
      ['workspaces', 'list'],
      ['show', 'no such'],
      ['toggle', 'i'],
      ['toggle', 'i', '-o', 'json'],
    ]) {
      const { stdout } = await runCommand(
        'script',
        ['-qefc', [process.execPath, bin, ...args].map(quote).join(' '), '/dev/null'],
        { env: { ...env, NO_COLOR: '1', TERM: 'xterm', SHELL: '/bin/sh' } },
      )
      expect(stdout.replaceAll('\r\n', '\n')).not.toMatch(raw)
    }
    // JSON has the text as it is; CSV is read in terminals too.
    const json = await run(['list', '-o', 'json'], { env })
    expect(JSON.parse(json.stdout)[0]).toMatchObject({
      name: wild,
      workspace: wild,
      slackTeamName: wild,
      config: { note: wild },
    })
    expect((await run(['list', '-o', 'csv', '--fields', 'name'], { env })).stdout).toBe(
      'name\nred \\u{1b}[31m \\u{9b} \\u{202e} \\u{200b} \\r\\n\\t end\n',
    )
    const text = await run(['list', '--fields', 'name,id'], { env })
    expect(text.stdout).toBe('red \\u{1b}[31m \\u{9b} \\u{202e} \\u{200b} \\r\\n\\t end\ti\n')
  })
})
