/** What people, shells and other tools make of a secret on its way here. @module */

/** Quotes of any kind: straight, typographic, backticks, CJK, and as HTML and URLs write them. */
const quote = /(?:\\?["'`´\p{Pi}\p{Pf}„‚″′＂＇「」『』]|&quot;|&#3[49];|%2[27])/u.source

/** Each mistake with what is seen of it, which completes "the secret …" and quotes no part of the value. The first one counts. */
const mistakes: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`^${quote}`, 'iu'), 'begins with a quote'],
  [new RegExp(`${quote}[,;]?$`, 'iu'), 'ends with a quote'],
  [/^(?:export|setx?|declare|let|const|var)\s/i, 'begins with a command that sets a variable'],
  [/^(?:bearer|basic|token|bot|digest|apikey|negotiate)[\s:]/i, 'begins with an authorization scheme'],
  // Base64 ends with equals signs.
  [/^(?:\$env:|-{0,2})[a-z_][\w.-]*\s*=\s*[^=\s]/i, 'begins with a name and an equals sign'],
  [/^[a-z_][\w.-]*:\s/i, 'begins with a name and a colon'],
  [/\$[{(]|\{\{|\[\[|\(\(|<%|#\{/, 'contains a placeholder that was not filled in'],
  [/^[{[]\s*["'\d{[\]}]/, 'is JSON'],
  [/^(?:\$\w+|\$env:.*|%\w+%|!\w+!|__\w+__)$/i, 'is a variable that was not expanded'],
  [/^[a-z][\w+.-]*:\/\//i, 'is a URL'],
  [
    /^(?:arn|op|vault|ref|env|file|ssm|sm|aws\w*|gcp\w*|secrets?|doppler|infisical|bws?|akv|keychain|gopass|sops):|^ENC[[(]|^\{cipher\}|^@Microsoft\.KeyVault|^projects\/[^/]+\/secrets\//i,
    'is a reference to a secret in another place',
  ],
  [/^[<[({].*[>\])}]$/, 'is in brackets'],
  [/\*{3}|\.{3}|x{6}|[…•●∙·▪■█]/i, 'is masked or shortened'],
  [/^@/, 'begins with @, as the name of a file does'],
  [/^(?:~|\.{1,2})\/|^\/(?:run|var|etc|home|tmp|mnt|opt|root|secrets|Users)\/|^[a-z]:\\/i, 'is a path'],
  [
    /^(?:change[-_ ]?(?:me|it)|replace[-_ ]?(?:me|this)|placeholder|redacted|hidden|masked|secret|password|token|null|nil|undefined|none|true|false|todo|tbd|test|testing|example|sample|dummy)$|(?:^|[-_. ])(?:your|placeholder|redacted|change[-_]?me|replace[-_]?me)(?:[-_. ]|$)/i,
    'is a placeholder',
  ],
  [/\s/, 'contains white space'],
  [/[^ -~]/, 'contains a character that is not ASCII'],
  [/\\/, 'contains a backslash'],
  [/[,;]$/, 'ends with a comma or a semicolon'],
  [/^.{0,7}$/, 'is shorter than 8 characters'],
]

/** What makes a value look like something else than a secret alone, as in "begins with a quote"; undefined for nothing. */
export const mistakeIn = (value: string): string | undefined => mistakes.find(([pattern]) => pattern.test(value))?.[1]
