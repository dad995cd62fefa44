package httpapi

import "strings"

// What a User-Agent is recognised by. The order matters: most browsers also
// name the ones they descend from.
var (
	browsers = [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	}
	systems = [][2]string{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	}
)

// deviceLabel is how a user may recognise a device: "Firefox on Linux". It
// takes only its own words out of the User-Agent, never the client's.
func deviceLabel(userAgent string) string {
	browser, system := recognise(browsers, userAgent), recognise(systems, userAgent)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "" || system != "":
		return browser + system
	}
	return "Unknown device"
}

func recognise(words [][2]string, userAgent string) string {
	for _, w := range words {
		if strings.Contains(userAgent, w[0]) {
			return w[1]
		}
	}
	return ""
}
