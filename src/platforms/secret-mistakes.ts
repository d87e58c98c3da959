/** What people, shells and other tools make of a secret on its way here. @module */

/** Quotes of any kind: straight, typographic, backticks, CJK, and as HTML and URLs write them. */
const quote = /(?:\\?["'`´\p{Pi}\p{Pf}„‚″′＂＇「」『』]|&quot;|&#3[49];|%2[27])/u.source

/** What names of secrets end with. */
const kind = /(?:[Ss]ecrets?|SECRETS?|[Tt]oken|TOKEN|[Kk]ey|KEY|[Pp]assword|PASSWORD|[Ss]ignature|[Aa]uthorization)/
  .source

/** A name before an equals sign: in one case, as random characters seldom are. */
const name = `(?:[A-Z][A-Z0-9_]{2,}|[A-Za-z][a-z0-9_.-]{2,}|[A-Za-z_][\\w.-]*${kind})`

/** A name before a colon, which stands in more secrets: of several words, or that of a secret. */
const words = `(?:[A-Z]{3}[A-Z0-9]*(?:_[A-Z0-9]{2,})+|(?:[Xx]|[A-Za-z][a-z]{2,})(?:[_-][A-Za-z][a-z0-9]+)+|[\\w-]*${kind})`

/** Each mistake with what is seen of it, which completes "the secret …" and quotes no part of the value. The first one counts. */
const mistakes: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`^${quote}`, 'iu'), 'begins with a quote'],
  [new RegExp(`${quote}[,;]?$`, 'iu'), 'ends with a quote'],
  [/^(?:export|setx?|declare|let|const|var)\s/i, 'begins with a command that sets a variable'],
  [/^(?:bearer|basic|token|bot|digest|apikey|negotiate)[\s:]/i, 'begins with an authorization scheme'],
  // Base64 ends with equals signs.
  [new RegExp(`^(?:\\$env:|-{0,2})${name}\\s*=\\s*[^=\\s]`), 'begins with a name and an equals sign'],
  [new RegExp(`^(?:[A-Za-z_][\\w.-]*:\\s|${words}:)`), 'begins with a name and a colon'],
  [/[$#]\{.+\}|\$\(.+\)|\{\{.+\}\}|\[\[.+\]\]|\(\(.+\)\)|<%.+%>/, 'contains a placeholder that was not filled in'],
  [/^(?:\{\s*["'}]|\[\s*["'{[\]])/, 'is JSON'],
  [
    /^(?:\$[{(]?\w+|\$env:.*|%\w+%|!\w+!|__\w+__|(?:(?:process|import\.meta|deno)\.env|os\.(?:environ|getenv)|env|vars?|secrets|settings|config|local|data|inputs)[.[(][\w.'"[\]()-]+)$/i,
    'is a variable that was not expanded',
  ],
  [
    /^(?:ref\+)?(?:arn|op|vault|ref|env|file|ssm|sm|aws\w*|gcp\w*|doppler|infisical|bws?|akv|keychain|gopass|sops):|^ENC[[(]|^\{cipher\}|^@Microsoft\.KeyVault|^projects\/[^/]+\/secrets\//i,
    'is a reference to a secret in another place',
  ],
  [/^[a-z][\w+.-]*:\/\//i, 'is a URL'],
  [/^[<[({].*[>\])}]$/, 'is in brackets'],
  // Of a value with other punctuation, a bracket may be a part.
  [/^[<[({]+[\w+/=.-]+$/, 'begins with a bracket'],
  [/^[\w+/=.-]+[>\])}]+$/, 'ends with a bracket'],
  [/\*{3}|\.{3}|x{6}|[…•●∙·▪■█]/i, 'is masked or shortened'],
  [/^@/, 'begins with @, as the name of a file does'],
  [/^(?:~|\.{1,2})\/|^\/(?:run|var|etc|home|tmp|mnt|opt|root|secrets|Users)\/|^[a-z]:\\/i, 'is a path'],
  [
    /undefined|^(?:(?:change[-_ ]?(?:me|it)|replace[-_ ]?(?:me|this)|placeholder|redacted|hidden|masked|secret|password|token|null|nil|none|nan|true|false|todo|tbd|test|testing|example|sample|dummy)[-_ ]?)+$|(?:^|[-_. ])(?:your|placeholder|redacted|change[-_]?me|replace[-_]?me)(?:[-_. ]|$)/i,
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
