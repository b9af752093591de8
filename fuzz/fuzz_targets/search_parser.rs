//! Query texts: no panic on any text; what is printed is read back as the same query; a fault
//! points into the text.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    drop(taffrail_query::literal_words(text));
    match taffrail_query::parse(text) {
        Ok(query) => {
            let printed = query.to_string();
            // The printed text may be longer than what may be asked.
            if printed.len() <= taffrail_model::limits::QUERY_BYTES_MAX {
                assert_eq!(taffrail_query::parse(&printed), Ok(query), "{printed}");
            }
        }
        Err(fault) => {
            assert!(fault.start <= fault.end, "{fault:?}");
            assert!(fault.end <= text.chars().count(), "{fault:?}");
        }
    }
});
