"""The documentation of the API keeps to its content policy; a page that did not is noticed."""

from playwright.sync_api import expect

from app.page.delivery import CONTENT_SECURITY_POLICY


def test_the_documentation_of_the_api_keeps_to_its_policy(open_page):
    page = open_page("/docs")
    expect(page.locator("#swagger-ui .opblock").first).to_be_visible()


def test_markup_that_breaks_the_policy_is_noticed(visitor, open_page):
    page = open_page()
    page.route(
        "**/broken",
        lambda route: route.fulfill(
            body="<script>document.title = 'ran'</script><p style='color: red'>text</p>",
            content_type="text/html",
            headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY},
        ),
    )
    page.goto(f"{page.url}broken")
    assert page.title() == ""
    assert {fault.split()[1] for fault in visitor.faults} >= {"script-src-elem", "style-src-attr"}
    visitor.faults.clear()
