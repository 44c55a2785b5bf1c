//! The attributes of levent, which re-exports them behind its feature `macros`: `#[levent::main]` and `#[levent::test]`.
//!
//! ```text
//! #[levent::test(virtual_time)]            #[test]
//! async fn name() -> R { body }     ──▶    fn name() -> R { levent::test::Test::new().virtual_time().run(async || -> R { body }) }
//! ```
//!
//! What is wrong with the function is a compile error at its place. The body is passed on as it is, with its spans, so that errors in it point into it.

#![forbid(unsafe_code)]

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Makes an `async fn main` the program's: it is run by `levent::block_on`.
///
/// What it returns is `main`'s; it takes no arguments.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let made = Function::read(item).and_then(|function| {
        nothing(arguments)?;
        let call = parse("::levent::block_on");
        let mut future = parse("async");
        future.extend([TokenTree::from(function.body.clone())]);
        Ok(function.with_body(TokenStream::new(), call, future))
    });
    made.unwrap_or_else(Error::into_tokens)
}

/// Makes an `async fn` a test, which `levent::test::Test` runs.
///
/// | Argument | Stands for |
/// |---|---|
/// | `virtual_time` | `Test::virtual_time()` |
/// | `timeout = SECONDS` | `Test::timeout(..)`, whole seconds or not |
/// | `leaks = false` | `Test::leaks(false)` |
///
/// Other attributes, as `#[ignore]` and `#[should_panic]`, work as always; what it returns is the test's; it takes no arguments.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let made = Function::read(item).and_then(|function| {
        let mut call = parse("::levent::test::Test::new()");
        call.extend(options(arguments)?);
        call.extend(parse(".run"));
        let mut closure = parse("async ||");
        closure.extend(function.output.clone());
        closure.extend([TokenTree::from(function.body.clone())]);
        Ok(function.with_body(parse("#[::core::prelude::v1::test]"), call, closure))
    });
    made.unwrap_or_else(Error::into_tokens)
}

/// An `async fn` without arguments, in its parts.
struct Function {
    /// Attributes and visibility.
    before: TokenStream,
    name: Ident,
    /// `-> T`, or nothing.
    output: TokenStream,
    body: Group,
}

impl Function {
    fn read(item: TokenStream) -> Result<Function, Error> {
        let mut tokens = item.into_iter();
        let mut before = TokenStream::new();
        loop {
            match tokens.next() {
                Some(TokenTree::Ident(word)) if word.to_string() == "async" => break,
                Some(TokenTree::Ident(word)) if word.to_string() == "fn" => {
                    return Err(Error::at(word.span(), "this must be an `async fn`"));
                }
                Some(token) => before.extend([token]),
                None => return Err(Error::here("this must be an `async fn`")),
            }
        }
        match tokens.next() {
            Some(TokenTree::Ident(word)) if word.to_string() == "fn" => {}
            other => {
                return Err(Error::of(
                    other,
                    "this must be an `async fn`, safe and of Rust",
                ));
            }
        }
        let name = match tokens.next() {
            Some(TokenTree::Ident(name)) => name,
            other => return Err(Error::of(other, "a function has a name")),
        };
        match tokens.next() {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                if !group.stream().is_empty() {
                    return Err(Error::at(group.span(), "nobody could pass arguments to it"));
                }
            }
            other => {
                return Err(Error::of(
                    other,
                    "nobody could choose generic arguments of it",
                ));
            }
        }
        let mut output: Vec<TokenTree> = tokens.collect();
        match output.pop() {
            Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => Ok(Function {
                before,
                name,
                output: output.into_iter().collect(),
                body,
            }),
            other => Err(Error::of(other, "a function has a body")),
        }
    }

    /// The same function, not async, whose body is `call(argument)`.
    fn with_body(
        self,
        attribute: TokenStream,
        call: TokenStream,
        argument: TokenStream,
    ) -> TokenStream {
        let mut body = call;
        body.extend([TokenTree::from(Group::new(
            Delimiter::Parenthesis,
            argument,
        ))]);
        let mut function = attribute;
        function.extend(self.before);
        function.extend([
            TokenTree::from(Ident::new("fn", self.name.span())),
            self.name.into(),
            Group::new(Delimiter::Parenthesis, TokenStream::new()).into(),
        ]);
        function.extend(self.output);
        let mut block = Group::new(Delimiter::Brace, body);
        // What the body lacks is shown at its place.
        block.set_span(self.body.span());
        function.extend([TokenTree::from(block)]);
        function
    }
}

/// The calls that a test's arguments stand for.
fn options(arguments: TokenStream) -> Result<TokenStream, Error> {
    let mut calls = TokenStream::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let TokenTree::Ident(name) = &argument else {
            return Err(Error::of(Some(argument), KNOWN));
        };
        let text = match name.to_string().as_str() {
            "virtual_time" => String::from(".virtual_time()"),
            "timeout" => {
                let seconds = value(&mut arguments, name)?;
                match (&seconds, seconds.to_string().parse::<f64>()) {
                    (TokenTree::Literal(_), Ok(number)) if number.is_finite() => {
                        format!(".timeout(::core::time::Duration::from_secs_f64({number:?}))")
                    }
                    _ => return Err(Error::at(seconds.span(), "a number of seconds")),
                }
            }
            "leaks" => {
                let wanted = value(&mut arguments, name)?;
                match wanted.to_string().as_str() {
                    wanted @ ("true" | "false") => format!(".leaks({wanted})"),
                    _ => return Err(Error::at(wanted.span(), "`true` or `false`")),
                }
            }
            _ => return Err(Error::at(name.span(), KNOWN)),
        };
        calls.extend(parse(&text));
        match arguments.next() {
            Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => {}
            None => break,
            other => return Err(Error::of(other, "a comma separates arguments")),
        }
    }
    Ok(calls)
}

const KNOWN: &str = "the arguments are `virtual_time`, `timeout = SECONDS` and `leaks = false`";

/// What stands after `name =`.
fn value(
    arguments: &mut impl Iterator<Item = TokenTree>,
    name: &Ident,
) -> Result<TokenTree, Error> {
    match (arguments.next(), arguments.next()) {
        (Some(TokenTree::Punct(equals)), Some(value)) if equals.as_char() == '=' => Ok(value),
        _ => Err(Error::at(name.span(), &format!("`{name} = …`"))),
    }
}

fn nothing(arguments: TokenStream) -> Result<(), Error> {
    match arguments.into_iter().next() {
        None => Ok(()),
        other => Err(Error::of(other, "this attribute takes no arguments")),
    }
}

fn parse(text: &str) -> TokenStream {
    text.parse().expect("what this crate writes is Rust")
}

/// What the user has to change, and where.
struct Error {
    span: Span,
    message: String,
}

impl Error {
    fn at(span: Span, message: &str) -> Error {
        Error {
            span,
            message: message.to_owned(),
        }
    }

    fn here(message: &str) -> Error {
        Error::at(Span::call_site(), message)
    }

    /// At this token, or at the attribute if there was none.
    fn of(token: Option<TokenTree>, message: &str) -> Error {
        Error::at(
            token.map_or_else(Span::call_site, |token| token.span()),
            message,
        )
    }

    /// `::core::compile_error! { "…" }`, at its place.
    fn into_tokens(self) -> TokenStream {
        let mut text = Literal::string(&self.message);
        text.set_span(self.span);
        let mut braces = Group::new(Delimiter::Brace, TokenTree::from(text).into());
        braces.set_span(self.span);
        let joined = |first| {
            Punct::new(
                ':',
                if first {
                    Spacing::Joint
                } else {
                    Spacing::Alone
                },
            )
        };
        let at = |mut token: TokenTree| {
            token.set_span(self.span);
            token
        };
        [
            at(joined(true).into()),
            at(joined(false).into()),
            Ident::new("core", self.span).into(),
            at(joined(true).into()),
            at(joined(false).into()),
            Ident::new("compile_error", self.span).into(),
            at(Punct::new('!', Spacing::Alone).into()),
            braces.into(),
        ]
        .into_iter()
        .collect()
    }
}
