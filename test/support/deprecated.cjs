// For NODE_OPTIONS: what Node says of a program whose libraries are older than it.
process.emitWarning('this is deprecated', 'DeprecationWarning')
