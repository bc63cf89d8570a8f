//! The codes of the findings about prompts.

use release::Code;

/// The front matter does not begin or end as it should.
pub const FRONT_MATTER: Code = Code::new("GC0201");
/// The front matter is not TOML.
pub const SYNTAX: Code = Code::new("GC0202");
/// The front matter has a key that prompts do not have.
pub const UNKNOWN_KEY: Code = Code::new("GC0203");
/// A value of the front matter has the wrong type or is out of range.
pub const BAD_VALUE: Code = Code::new("GC0204");
/// A variable's name cannot be used in a template.
pub const BAD_NAME: Code = Code::new("GC0205");
/// A variable's default is not of its type, or not one of its choices.
pub const BAD_DEFAULT: Code = Code::new("GC0206");
/// The template does not parse.
pub const TEMPLATE: Code = Code::new("GC0210");
/// The template uses a variable that the front matter does not declare.
pub const UNDECLARED: Code = Code::new("GC0211");
/// The template uses a filter, test or function that does not exist.
pub const UNKNOWN_NAME: Code = Code::new("GC0212");
/// A declared variable is used nowhere.
pub const UNUSED: Code = Code::new("GC0213");
/// The template uses a part of Jinja that prompts do not have.
pub const NOT_IN_PROMPTS: Code = Code::new("GC0214");
/// An include that cannot be resolved when the prompt is applied.
pub const INCLUDE: Code = Code::new("GC0215");
/// The prompt, or one tag of it, is too large.
pub const TOO_LARGE: Code = Code::new("GC0216");
/// A passage has no such field.
pub const NO_SUCH_FIELD: Code = Code::new("GC0217");
